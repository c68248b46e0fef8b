import { Database, Q, type DatabaseAdapter } from '@nozbe/watermelondb'
import { setGenerator } from '@nozbe/watermelondb/utils/common/randomId/index.js'

import { modelClasses } from './models.js'
import type { Rejected } from './sync.js'

/**
 * Open the diary on this phone.
 *
 * @param adapter - made with `schema` and `migrations` of this package.
 * @param randomUUID - makes ids: the server takes UUIDs in lower case alone. React Native has none
 * of its own: pass that of `expo-crypto`.
 */
export function openDiary(
  adapter: DatabaseAdapter,
  randomUUID: () => string = () => globalThis.crypto.randomUUID(),
): Database {
  setGenerator(() => randomUUID().toLowerCase())
  return new Database({ adapter, modelClasses })
}

/** Give up what the server rejected. The next sync brings back what the server has of it. */
export async function discard(database: Database, rejected: Rejected): Promise<void> {
  await database.write(async () => {
    for (const [table, reasons] of Object.entries(rejected)) {
      const ids = Object.keys(reasons)
      const records = await database.get(table).query(Q.where('id', Q.oneOf(ids))).fetch()
      await database.batch(records.map((record) => record.prepareDestroyPermanently()))
      await database.adapter.destroyDeletedRecords(table, ids)
    }
    await pullAnew(database)
  })
}

/**
 * Have the next sync bring this phone's rows to the device that it joined. Call it while no sync
 * runs; again, if it was interrupted.
 */
export async function join(database: Database): Promise<void> {
  await database.write(async () => {
    for (const table of Object.keys(database.schema.tables)) {
      const deleted = await database.adapter.getDeletedRecords(table)
      await database.adapter.destroyDeletedRecords(table, deleted)
      const records = await database.get(table).query().fetch()
      await database.batch(
        records.map((record) =>
          record.prepareUpdate(() => {
            Object.assign(record._raw, { _status: 'created', _changed: '' })
          }),
        ),
      )
    }
    await pullAnew(database)
    await database.adapter.removeLocal(OWNER)
  })
}

/** Have the next pull bring everything. */
async function pullAnew(database: Database): Promise<void> {
  await database.adapter.removeLocal('__watermelon_last_pulled_at')
  await database.adapter.removeLocal('__watermelon_last_pulled_schema_version')
}

const OWNER = 'countonme_device_id'

/** Return the device whose rows these are: the given one from now on, where none was. */
export async function ownerOf(database: Database, deviceId: string): Promise<string> {
  const owner = await database.adapter.getLocal(OWNER)
  if (owner) return owner
  await database.adapter.setLocal(OWNER, deviceId)
  return deviceId
}
