import type { Database } from '@nozbe/watermelondb'
import {
  synchronize as synchronizeTables,
  type SyncDatabaseChangeSet,
  type SyncPullResult,
} from '@nozbe/watermelondb/sync/index.js'

import type { CountOnMe } from '../client.js'
import { CountOnMeError, unwrap, type Failure, type Result } from '../failures.js'
import { ownerOf } from './database.js'

/** What the server left out of a push: by table and id, a sentence that says why. */
export type Rejected = { [table: string]: { [id: string]: string } }

/** What the server keeps otherwise than this phone wrote it: by table, id and column. */
export type Adjusted = {
  [table: string]: { [id: string]: { [column: string]: { written: unknown; kept: unknown } } }
}

export interface Synced {
  rejected: Rejected
  adjusted: Adjusted
}

/** The rows are another device's: `join()`, or `database.unsafeResetDatabase()`. */
export type OtherDevice = { kind: 'other-device'; detail: string; deviceId: string }

export type SyncResult =
  | { data: Synced; error?: undefined }
  | { data?: undefined; error: Failure | OtherDevice }

// So often a push is tried again that met a conflict.
const ATTEMPTS = 5
const running = new WeakMap<Database, Promise<SyncResult>>()

/**
 * Fetch what changed on the server, send what changed here. Called again while it runs, it returns
 * the sync under way. Where it fails, the next call goes on from what was stored.
 */
export function synchronize(database: Database, client: CountOnMe): Promise<SyncResult> {
  const under = running.get(database)
  if (under) return under
  const begun = untilNoConflict(database, client).finally(() => running.delete(database))
  running.set(database, begun)
  return begun
}

async function untilNoConflict(database: Database, client: CountOnMe): Promise<SyncResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { deviceId } = await unwrap(client.phone())
      const owner = await ownerOf(database, deviceId)
      if (owner !== deviceId) return { error: otherDevice(owner) }
      return { data: await pullAndPush(database, client) }
    } catch (error) {
      if (!(error instanceof CountOnMeError)) throw error
      const { failure } = error
      if (failure.kind !== 'conflict' || attempt === ATTEMPTS) return { error: failure }
    }
  }
}

async function pullAndPush(database: Database, client: CountOnMe): Promise<Synced> {
  let pushed: SyncDatabaseChangeSet | null = null
  let rejected: Rejected = {}
  let adjusted: Adjusted = {}
  const pull = {
    database,
    // The server sends every row under `updated`. With `created`, the library would bring back rows
    // that were deleted on the phone.
    sendCreatedAsUpdated: true,
    migrationsEnabledAtVersion: 1,
    async pullChanges({ lastPulledAt, schemaVersion, migration }: PullArguments) {
      const query = {
        last_pulled_at: String(lastPulledAt ?? 0),
        schema_version: String(schemaVersion),
        migration: JSON.stringify(migration),
      }
      const pulled = await unwrap(client.api.GET('/v1/sync', { params: { query } }))
      if (pushed) adjusted = difference(pushed, pulled.changes, rejected)
      // A first pull is all there is: what was synced before and is not in it goes.
      const strategy = lastPulledAt ? {} : { experimentalStrategy: 'replacement' as const }
      return { ...pulled, ...strategy } as SyncPullResult
    },
  }
  await synchronizeTables({
    ...pull,
    async pushChanges({ changes, lastPulledAt }) {
      const query = { last_pulled_at: lastPulledAt }
      const answer = await unwrap(
        client.api.POST('/v1/sync', { params: { query }, body: changes as never }),
      )
      pushed = changes
      rejected = answer.rejected
      return { experimentalRejectedIds: answer.experimentalRejectedIds }
    },
  })
  // What was pushed comes back as the server keeps it.
  if (pushed) await synchronizeTables(pull)
  return { rejected, adjusted }
}

type PullArguments = { lastPulledAt?: number; schemaVersion: number; migration: unknown }
type Changes = { [table: string]: { created: Row[]; updated: Row[] } }
type Row = { [column: string]: unknown; id: string }

/** Return what came back otherwise than it was pushed. */
function difference(pushed: SyncDatabaseChangeSet, pulled: unknown, rejected: Rejected): Adjusted {
  const adjusted: Adjusted = {}
  for (const [table, { created, updated }] of Object.entries(pushed as Changes)) {
    const kept = new Map((pulled as Changes)[table]?.updated.map((row) => [row.id, row]))
    for (const written of [...created, ...updated]) {
      const row = kept.get(written.id)
      if (!row || rejected[table]?.[written.id]) continue
      for (const [column, value] of Object.entries(row)) {
        if (!(column in written) || written[column] === value) continue
        const columns = ((adjusted[table] ??= {})[written.id] ??= {})
        columns[column] = { written: written[column], kept: value }
      }
    }
  }
  return adjusted
}

const otherDevice = (deviceId: string): OtherDevice => ({
  kind: 'other-device',
  detail: 'The rows on this phone are another device’s',
  deviceId,
})
