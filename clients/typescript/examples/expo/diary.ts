// What an app makes once: its client, and the diary in SQLite.
import SQLiteAdapter from '@nozbe/watermelondb/adapters/sqlite'
import { randomUUID } from 'expo-crypto'
import { CountOnMe } from 'countonme-client'
import { migrations, openDiary, schema } from 'countonme-client/watermelondb'

import { secureStore } from './secure-store'

export const client = new CountOnMe({
  server: 'https://api.example.org',
  store: secureStore,
  phoneName: 'Pixel 10',
  randomUUID,
})

const adapter = new SQLiteAdapter({ schema, migrations, jsi: true })
export const database = openDiary(adapter, randomUUID)
