import { schemaMigrations } from '@nozbe/watermelondb/Schema/migrations/index.js'

/** How databases of earlier versions of the schema become this one. There was none before. */
export const migrations = schemaMigrations({ migrations: [] })
