// Replicas for tests, each a WatermelonDB of its own in memory, that run the code which docs/sync.md
// prints. One command a line comes in as JSON, one answer a line goes out.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { randomUUID } = require('node:crypto')
const typescript = require('typescript')
const { LokiMemoryAdapter } = require('lokijs')
const LokiJSAdapter = require('@nozbe/watermelondb/adapters/lokijs').default

const [page, server] = process.argv.slice(2)

// Standard output is the answers' alone. What the library complains about is for the tests to judge.
const complaints = []
const complain = (...words) => complaints.push(words.map(String).join(' '))
Object.assign(console, { log() {}, debug() {}, info() {}, warn: complain, error: complain })

// What the page asks of a phone has a stand-in here; all else is as printed.
const standIns = (disk) => ({
  'expo-crypto': { randomUUID },
  '@nozbe/watermelondb/adapters/sqlite': class extends LokiJSAdapter {
    constructor({ schema, migrations }) {
      super({
        schema,
        migrations,
        dbName: 'countonme',
        useWebWorker: false,
        useIncrementalIndexedDB: true,
        extraLokiOptions: { autosave: false },
        _testLokiAdapter: disk,
      })
    }
  },
})

const printed = new Map()
for (const [, name, code] of fs
  .readFileSync(page, 'utf8')
  .matchAll(/^```ts\n\/\/ (db\/\w+)\.ts\n(.*?)^```$/gms)) {
  printed.set(name, code)
}

// One app: the printed modules, or `edits` of some, loaded afresh on a phone's disk and network.
function install(disk, fetch, edits) {
  const provided = standIns(disk)
  const loaded = new Map()
  const load = (name) => {
    if (!printed.has(name)) throw new Error(`${page} prints no ${name}.ts`)
    if (!loaded.has(name)) {
      const module = { exports: {} }
      loaded.set(name, module)
      const { outputText } = typescript.transpileModule(edits[name] ?? printed.get(name), {
        compilerOptions: {
          module: 'CommonJS',
          target: 'ES2022',
          esModuleInterop: true,
          experimentalDecorators: true,
          useDefineForClassFields: false,
        },
      })
      const requires = (wanted) =>
        wanted.startsWith('.')
          ? load(path.posix.join(path.posix.dirname(name), wanted))
          : (provided[wanted] ?? require(wanted))
      const run = new Function('require', 'module', 'exports', 'fetch', outputText)
      run(requires, module, module.exports, fetch)
    }
    return loaded.get(name).exports
  }
  return { ...load('db/index'), ...load('db/models'), ...load('db/sync'), ...load('db/join') }
}

class Replica {
  constructor({ token, edits }) {
    this.token = token
    this.disk = new LokiMemoryAdapter()
    this.install({ edits })
  }

  install({ edits = {} }) {
    this.app = install(this.disk, (url, init) => this.fetch(url, init), edits)
    this.database = this.app.database
    this.runSync = this.app.syncOf(this.database, server, () => this.token)
  }

  // Another version of the app on what the one before has left.
  upgrade({ edits }) {
    this.database.adapter.underlyingAdapter._driver.loki.close()
    this.install({ edits })
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

  // A method of a printed model.
  async call({ table, id, method, args = [] }) {
    const result = await (await this.record(table, id))[method](...args)
    return result?.id ?? null
  }

  async set_goal({ values, targets }) {
    const goal = await this.app.setGoal(this.database, (goal) => {
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
    await this.app.discard(this.database, rejected)
  }

  // What the app does once it is paired and has rows of its own.
  async join({ token }) {
    await this.app.join(this.database)
    this.token = token
  }

  set_token({ token }) {
    this.token = token
  }

  // Sync, with an accident to the first push: its answer is "lost"; or it never "leaves"; or the
  // phone "waits" with it until told to go on. Or sync so many `times` at once.
  async sync({ push, times = 1 }) {
    const requests = []
    Object.assign(this, { accident: push, requests })
    try {
      const [rejected] = await Promise.all(Array.from({ length: times }, () => this.runSync()))
      return { rejected, error: null, requests }
    } catch (error) {
      const { status = 0, retryAfter = 0, message } = error
      return { rejected: {}, error: { status, retry_after: retryAfter, message }, requests }
    }
  }

  async fetch(url, init = {}) {
    const method = init.method ?? 'GET'
    const happens = method === 'POST' ? this.accident : undefined
    if (happens) this.accident = undefined
    if (happens === 'leaves') throw new TypeError('Network request failed')
    if (happens === 'waits') await waiting()
    const answer = await fetch(url, init)
    const body = await answer.clone().text()
    const strategy = method === 'GET' && answer.ok ? JSON.parse(body).experimentalStrategy : null
    this.requests.push({ method, status: answer.status, strategy: strategy ?? null })
    if (happens === 'lost') throw new TypeError('Network request failed')
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
