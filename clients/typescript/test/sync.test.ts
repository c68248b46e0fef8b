// The synced diary: what an app does with it, and what its networks do to it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Database } from '@nozbe/watermelondb'
import { unwrap } from 'countonme-client'
import { discard, FoodEntry, join, Product, setGoal, synchronize, type Synced } from 'countonme-client/watermelondb'

import { emptyDiary, install, joined, registered, type TestPhone } from './helpers.js'

const LUNCH = { date: '2025-02-05', mealType: 'lunch' as const }
const PULL = 'GET /v1/sync'
const PUSH = 'POST /v1/sync'

async function addProduct(diary: Database, values: Partial<Product> = {}): Promise<Product> {
  return diary.write(() =>
    diary.get<Product>('products').create((product) => {
      Object.assign(product, { name: 'Rice', unit: 'g', kcal100g: 130, ...values })
    }),
  )
}

async function synced(diary: Database, { client }: TestPhone): Promise<Synced> {
  const { data, error } = await synchronize(diary, client)
  assert.equal(error, undefined)
  return data
}

const entriesOnServer = async ({ client }: TestPhone) =>
  unwrap(client.api.GET('/v1/food-entries', { params: { query: { date: LUNCH.date } } }))

const nothing = { rejected: {}, adjusted: {} }

test('the first sync of a new app registers, and brings the meal to another phone', async () => {
  const first = install()
  const here = emptyDiary()
  const rice = await addProduct(here)
  await rice.log(150, LUNCH)
  assert.deepEqual(await synced(here, first), nothing)
  const there = emptyDiary()
  await synced(there, await joined(first))
  const [entry] = await there.get<FoodEntry>('food_entries').query().fetch()
  assert.deepEqual([entry?.name, entry?.kcal, entry?.productId], ['Rice', 195, rice.id])
})

test('what was written offline leaves with the next sync', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  await synced(diary, phone)
  phone.network.befalls = () => 'leaves'
  const rice = await addProduct(diary)
  await rice.log(150, LUNCH)
  const { error } = await synchronize(diary, phone.client)
  assert.equal(error?.kind, 'no-answer')
  phone.network.befalls = () => undefined
  await synced(diary, phone)
  assert.deepEqual((await entriesOnServer(phone)).map(({ kcal }) => kcal), [195])
})

test('a push whose answer was lost is repeated without doubles', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  await (await addProduct(diary)).log(150, LUNCH)
  phone.network.once(PUSH, 'lost')
  assert.equal((await synchronize(diary, phone.client)).error?.kind, 'no-answer')
  assert.deepEqual(await synced(diary, phone), nothing)
  assert.equal((await entriesOnServer(phone)).length, 1)
})

test('a sync that is asked for while another runs is that one', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  await addProduct(diary)
  const before = phone.network.calls.length
  const [one, two] = await Promise.all([synced(diary, phone), synced(diary, phone)])
  assert.equal(one, two)
  assert.deepEqual(phone.network.calls.slice(before), [PULL, PUSH, PULL])
})

test('a 401 in the middle of a sync loses nothing', async () => {
  const first = await registered()
  const second = await joined(first)
  const diary = emptyDiary()
  await synced(diary, second)
  await (await addProduct(diary)).log(150, LUNCH)
  const { phoneId: id } = await unwrap(second.client.phone())
  second.network.once(PUSH, () =>
    first.client.api.DELETE('/v1/auth/phones/{id}', { params: { path: { id } } }),
  )
  const { error } = await synchronize(diary, second.client)
  assert.deepEqual(error, { kind: 'signed-out', detail: 'Invalid or expired token', why: 'refused' })
  assert.deepEqual(second.told, ['refused'])
  assert.deepEqual(await entriesOnServer(first), [])

  const { code } = await unwrap(first.client.pairingCode())
  await unwrap(second.client.pair(code))
  await synced(diary, second)
  assert.equal((await entriesOnServer(first)).length, 1)
})

test('a token that was rotated in the middle of a sync is followed', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  await addProduct(diary)
  phone.network.once(PUSH, () => install({ store: phone.store }).client.rotate())
  assert.deepEqual(await synced(diary, phone), nothing)
  assert.deepEqual(phone.network.statuses, [200, 200, 401, 200, 200])
  assert.deepEqual(phone.told, [])
})

test('a conflict is pulled and pushed again', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  const rice = await addProduct(diary)
  await synced(diary, phone)
  await diary.write(() => rice.update(() => void (rice.name = 'Brown rice')))
  const change = { params: { path: { id: rice.id } }, body: { kcal_100g: 120 } }
  phone.network.once(PUSH, () =>
    install({ store: phone.store }).client.api.PATCH('/v1/products/{id}', change),
  )
  await synced(diary, phone)
  assert.deepEqual(phone.network.statuses.filter((status) => status === 409), [409])
  assert.deepEqual([rice.name, rice.kcal100g], ['Brown rice', 120])
})

test('what the server rejects is named, stays, and can be put right or given up', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  const lava = await addProduct(diary, { name: 'Lava', kcal100g: 5000 })
  const void_ = await addProduct(diary, { name: 'Void', kcal100g: -1 })
  const { rejected } = await synced(diary, phone)
  assert.match(rejected.products?.[lava.id] ?? '', /^kcal_100g: .* 1000/)
  assert.deepEqual(Object.keys(rejected.products ?? {}).sort(), [lava.id, void_.id].sort())
  await diary.write(() => lava.update(() => void (lava.kcal100g = 500)))
  await discard(diary, { products: { [void_.id]: '' } })
  assert.deepEqual(await synced(diary, phone), nothing)
  const products = await diary.get<Product>('products').query().fetch()
  assert.deepEqual(products.map(({ name }) => name), ['Lava'])
})

test('what the server keeps otherwise than it was written is told', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  const rice = await addProduct(diary, { name: ' Brown   rice ', protein100g: 2.705, brand: '' })
  const entry = await rice.log(150, { ...LUNCH, eatenAt: '2025-02-05T13:30:00+01:00' })
  await diary.write(() => entry.update(() => void (entry.kcal = 1)))
  const { adjusted } = await synced(diary, phone)
  assert.deepEqual(adjusted, {
    products: {
      [rice.id]: {
        name: { written: 'Brown   rice', kept: 'Brown rice' },
        protein_100g: { written: 2.705, kept: 2.71 },
        brand: { written: '', kept: null },
      },
    },
    food_entries: {
      [entry.id]: {
        name: { written: 'Brown   rice', kept: 'Brown rice' },
        kcal: { written: 1, kept: 195 },
        protein: { written: 4.06, kept: 4.07 },
        eaten_at: { written: '2025-02-05T13:30:00+01:00', kept: '2025-02-05T12:30:00Z' },
      },
    },
  })
  assert.equal(entry.kcal, 195)
  assert.deepEqual(await synced(diary, phone), nothing)
})

test('a goal that the server works out is told as adjusted', async () => {
  const phone = await registered()
  const diary = emptyDiary()
  const goal = await setGoal(diary, (goal) => {
    Object.assign(goal, {
      goalType: 'calculated',
      gender: 'female',
      birthDate: '1990-02-05',
      heightCm: 170,
      currentWeightKg: 65,
      activityLevel: 'light',
      weightGoalType: 'maintain',
    })
  })
  const { adjusted } = await synced(diary, phone)
  const { written, kept } = adjusted.goals![goal.id]!.daily_calories_kcal!
  assert.deepEqual([written, kept], [null, goal.dailyCaloriesKcal])
})

// A phone that has rows of its own.

async function pairedWithRows() {
  const other = await registered()
  const phone = await registered()
  const diary = emptyDiary()
  await (await addProduct(diary)).log(150, LUNCH)
  await synced(diary, phone)
  const { deviceId } = await unwrap(phone.client.phone())
  const { code } = await unwrap(other.client.pairingCode())
  await unwrap(phone.client.pair(code))
  return { other, phone, diary, deviceId }
}

test('rows of one device are never synced to another by mistake', async () => {
  const { other, phone, diary, deviceId } = await pairedWithRows()
  const { error } = await synchronize(diary, phone.client)
  assert.ok(error?.kind === 'other-device')
  assert.equal(error.deviceId, deviceId)
  assert.equal(await diary.get('food_entries').query().fetchCount(), 1)
  assert.deepEqual(await entriesOnServer(other), [])
})

test('rows are brought along, and the former device is erased', async () => {
  const { other, phone, diary } = await pairedWithRows()
  await join(diary)
  assert.deepEqual(await synced(diary, phone), nothing)
  await unwrap(phone.client.eraseFormer())
  assert.deepEqual((await entriesOnServer(other)).map(({ name }) => name), ['Rice'])
  await synced(diary, phone)
})

test('rows are left behind', async () => {
  const { other, phone, diary } = await pairedWithRows()
  await diary.write(() => diary.unsafeResetDatabase())
  await synced(diary, phone)
  assert.equal(await diary.get('food_entries').query().fetchCount(), 0)
  assert.deepEqual(await entriesOnServer(other), [])
})
