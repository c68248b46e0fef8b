// From nothing to a synced meal, beside `make run`. The tests run it as it stands.
import LokiJSAdapter from '@nozbe/watermelondb/adapters/lokijs/index.js'
import { CountOnMe, memoryStore, unwrap } from 'countonme-client'
import { migrations, openDiary, schema, synchronize, type Product } from 'countonme-client/watermelondb'

const client = new CountOnMe({
  server: process.env.COUNTONME_URL ?? 'http://127.0.0.1:8000',
  // In an app: the system's key store, as in App.tsx.
  store: memoryStore(),
  phoneName: 'Example',
})

// In an app: `new SQLiteAdapter({ schema, migrations, jsi: true })`.
const loki = { autosave: false }
const inMemory = { useWebWorker: false, useIncrementalIndexedDB: true, extraLokiOptions: loki }
const database = openDiary(new LokiJSAdapter.default({ schema, migrations, ...inMemory }))

// A food of the server's catalog becomes a product of this phone. The first call registers it.
const query = { search: 'chicken' }
const [found] = await unwrap(client.api.GET('/v1/foods', { params: { query } }))
if (!found?.food) throw new Error('The catalog has no chicken')
const path = { id: found.food.id }
const { id } = await unwrap(client.api.POST('/v1/catalog/foods/{id}/copy', { params: { path } }))
await sync()

// Lunch, written on the phone: with a line or without.
const product = await database.get<Product>('products').find(id)
const date = new Date().toISOString().slice(0, 10)
const lunch = await product.log(150, { date, mealType: 'lunch' })
await sync()
const day = await unwrap(client.api.GET('/v1/stats/day/{date}', { params: { path: { date } } }))
console.log(`${lunch.name}: ${lunch.kcal} kcal. The server has ${day.totals.kcal} kcal today.`)

async function sync() {
  const { data, error } = await synchronize(database, client)
  if (error) throw new Error(error.detail)
  // A form that checks its fields never sees one: show the sentence where the record is edited.
  if (Object.keys(data.rejected).length) console.warn(data.rejected)
}
