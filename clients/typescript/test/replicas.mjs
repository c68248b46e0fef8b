// Replicas for tests, each a diary of the built package in memory, which pytest tells what to do
// (sync/tests/replicas.py). One command a line comes in as JSON, one answer a line goes out.
import readline from 'node:readline'
import { randomUUID } from 'node:crypto'
import lokijs from 'lokijs'
import { Database, Model, appSchema, tableSchema } from '@nozbe/watermelondb'
import LokiJSAdapter from '@nozbe/watermelondb/adapters/lokijs/index.js'
import { createTable, schemaMigrations } from '@nozbe/watermelondb/Schema/migrations/index.js'
import { setGenerator } from '@nozbe/watermelondb/utils/common/randomId/index.js'
import { CountOnMe, memoryStore } from 'countonme-client'
import * as diary from 'countonme-client/watermelondb'

const [server] = process.argv.slice(2)

// Standard output is the answers' alone. What the library complains about is for the tests to judge.
const complaints = []
const complain = (...words) => complaints.push(words.map(String).join(' '))
Object.assign(console, { log() {}, debug() {}, info() {}, warn: complain, error: complain })

const tables = Object.values(diary.schema.tables)

/**
 * Open a diary on a phone's disk: that of the package, or of another version of it.
 *
 * `without` names tables that it lacks, `more` has the columns of tables that it has beside. As of
 * `version` 2 it migrates from a version without the tables that are `added`.
 */
function open(disk, { without = [], more = {}, version = 1, added = [] }) {
  const kept = tables.filter(({ name }) => !without.includes(name))
  const others = Object.entries(more).map(([name, columns]) => tableSchema({ name, columns }))
  const schema = appSchema({ version, tables: [...kept, ...others] })
  const steps = tables
    .filter(({ name }) => added.includes(name))
    .map(({ name, columnArray }) => createTable({ name, columns: columnArray }))
  const adapter = new LokiJSAdapter.default({
    schema,
    migrations: schemaMigrations({ migrations: steps.length ? [{ toVersion: 2, steps }] : [] }),
    dbName: 'countonme',
    useWebWorker: false,
    useIncrementalIndexedDB: true,
    extraLokiOptions: { autosave: false },
    _testLokiAdapter: disk,
  })
  if (!without.length && !others.length) return diary.openDiary(adapter, randomUUID)
  setGenerator(randomUUID)
  const modelOf = (table) =>
    diary.modelClasses.find((each) => each.table === table) ??
    class extends Model {
      static table = table
    }
  return new Database({ adapter, modelClasses: Object.keys(schema.tables).map(modelOf) })
}

class Replica {
  constructor({ token, device, ...version }) {
    this.store = memoryStore()
    this.set_token({ token, device })
    this.disk = new lokijs.LokiMemoryAdapter()
    this.client = new CountOnMe({
      server,
      store: this.store,
      fetch: (request, init) => this.fetch(request, init),
    })
    this.database = open(this.disk, version)
  }

  // Another version of the app on what the one before has left.
  upgrade(version) {
    this.database.adapter.underlyingAdapter._driver.loki.close()
    this.database = open(this.disk, version)
  }

  record(table, id) {
    return this.database.get(table).find(id)
  }

  // Columns by their own names, as the wire has them.
  async create({ table, id, values }) {
    const created = await this.database.write(() =>
      this.database.get(table).create((record) => {
        if (id) record._raw.id = id
        for (const [column, value] of Object.entries(values)) record._setRaw(column, value)
      }),
    )
    return created.id
  }

  async update({ table, id, values }) {
    const record = await this.record(table, id)
    await this.database.write(() =>
      record.update(() => {
        for (const [column, value] of Object.entries(values)) record._setRaw(column, value)
      }),
    )
  }

  // As if an earlier version of the server had taken it.
  async mark_as_synced({ table, id }) {
    const record = await this.record(table, id)
    record._raw._status = 'synced'
    record._raw._changed = ''
  }

  async delete({ table, id }) {
    const record = await this.record(table, id)
    await this.database.write(() => record.markAsDeleted())
  }

  // A method of a model.
  async call({ table, id, method, args = [] }) {
    const result = await (await this.record(table, id))[method](...args)
    return result?.id ?? null
  }

  async set_goal({ values, targets }) {
    const goal = await diary.setGoal(this.database, (goal) => {
      for (const [column, value] of Object.entries(values)) goal._setRaw(column, value)
      if (targets) goal.aim(targets)
    })
    return goal.id
  }

  async aim({ id, targets }) {
    const goal = await this.record('goals', id)
    await this.database.write(() => goal.update(() => goal.aim(targets)))
  }

  // What the phone shows: every row of every table, by id.
  async dump() {
    const tables = {}
    for (const table of Object.keys(this.database.schema.tables)) {
      tables[table] = {}
      for (const { _raw } of await this.database.get(table).query().fetch()) {
        const { id, _status, _changed, ...columns } = _raw
        tables[table][id] = columns
      }
    }
    return tables
  }

  // What it has not pushed, by table and id; deletions too.
  async unsynced() {
    const found = {}
    for (const table of Object.keys(this.database.schema.tables)) {
      const rows = await this.database.get(table).query().fetch()
      const changed = rows.filter((row) => row.syncStatus !== 'synced').map((row) => row.id)
      const deleted = await this.database.adapter.getDeletedRecords(table)
      if (changed.length + deleted.length) found[table] = [...changed, ...deleted]
    }
    return found
  }

  async give_up({ rejected }) {
    await diary.discard(this.database, rejected)
  }

  // What the app does once it is paired and has rows of its own.
  async join({ token, device }) {
    this.set_token({ token, device })
    await diary.join(this.database)
  }

  set_token({ token, device }) {
    const phone = { token, deviceId: device, phoneId: device }
    this.store.set(JSON.stringify({ phone }))
  }

  // Sync, with an accident to the first push: its answer is "lost"; or it never "leaves"; or the
  // phone "waits" with it until told to go on. Or sync so many `times` at once.
  async sync({ push, times = 1 }) {
    const requests = []
    Object.assign(this, { accident: push, requests })
    const syncs = Array.from({ length: times }, () => diary.synchronize(this.database, this.client))
    const [{ data, error }] = await Promise.all(syncs)
    return { rejected: data?.rejected ?? {}, error: error ?? null, requests }
  }

  async fetch(request, init) {
    const { method } = request
    const happens = method === 'POST' ? this.accident : undefined
    if (happens) this.accident = undefined
    if (happens === 'leaves') throw new TypeError('fetch failed')
    if (happens === 'waits') await waiting()
    const answer = await fetch(request, init)
    const body = await answer.clone().text()
    const strategy = method === 'GET' && answer.ok ? JSON.parse(body).experimentalStrategy : null
    this.requests.push({ method, status: answer.status, strategy: strategy ?? null })
    if (happens === 'lost') throw new TypeError('fetch failed')
    return answer
  }
}

const replicas = new Map()
let goOn = null

function waiting() {
  return new Promise((resolve) => {
    goOn = resolve
    tell({ result: 'waiting' })
  })
}

function tell(answer) {
  process.stdout.write(`${JSON.stringify({ ...answer, complaints: complaints.splice(0) })}\n`)
}

async function obey({ do: verb, replica, ...rest }) {
  if (verb === 'install') return void replicas.set(replica, new Replica(rest))
  return (await replicas.get(replica)[verb](rest)) ?? null
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const command = JSON.parse(line)
  if (command.do === 'go_on') return goOn()
  try {
    tell({ result: (await obey(command)) ?? null })
  } catch (error) {
    tell({ failed: error.stack })
  }
})
