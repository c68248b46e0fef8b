import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { CountOnMe, CountOnMeError, memoryStore, unwrap, type Failure } from 'countonme-client'

import { install, isSignedIn, joined, registered } from './helpers.js'

const RICE = { name: 'Rice', kcal_100g: 130 }
const products = '/v1/products'

function answer(status: number, detail: string, headers: Record<string, string> = {}) {
  return Response.json({ detail }, { status, headers })
}

// Registration.

test('the first call registers', async () => {
  const { client, network } = install()
  assert.deepEqual(await unwrap(client.api.GET(products)), [])
  assert.deepEqual(network.calls, ['POST /v1/auth/register', 'GET /v1/products'])
})

test('callers at the same moment register once', async () => {
  const { client, network } = install()
  const phones = await Promise.all([
    client.api.GET(products),
    client.api.GET('/v1/auth/device'),
    client.register(),
    client.register(),
  ])
  assert.deepEqual(phones.map(({ error }) => error), Array(4).fill(undefined))
  assert.equal(network.calls.filter((call) => call.endsWith('register')).length, 1)
})

test('a registration whose answer is lost is repeated under another id', async () => {
  const { client, network } = install()
  network.once('POST /v1/auth/register', 'lost')
  const { error } = await client.phone()
  assert.equal(error?.kind, 'no-answer')
  const { deviceId } = await unwrap(client.phone())
  const device = await unwrap(client.api.GET('/v1/auth/device'))
  assert.deepEqual([device.id, device.phone_id], [deviceId, deviceId])
})

test('a registration that never left is made later', async () => {
  const { client, network } = install()
  network.befalls = () => 'leaves'
  assert.equal((await client.api.GET(products)).error?.kind, 'no-answer')
  network.befalls = () => undefined
  assert.deepEqual(await unwrap(client.api.GET(products)), [])
})

test('an id in use is replaced by another', async () => {
  const taken = await unwrap((await registered()).client.phone())
  const ids = [taken.deviceId, crypto.randomUUID()]
  const { client } = install({ randomUUID: () => ids.shift()!.toUpperCase() })
  const { deviceId } = await unwrap(client.register())
  assert.notEqual(deviceId, taken.deviceId)
  assert.deepEqual(ids, [])
})

test('an app that is started again is the same phone', async () => {
  const first = await registered()
  const again = install({ store: first.store })
  assert.deepEqual(await again.client.phone(), await first.client.phone())
  assert.deepEqual(again.network.calls, [])
})

test('who registers names the phone', async () => {
  const { client } = install({ phoneName: 'Pixel 10' })
  const [phone] = await unwrap(client.api.GET('/v1/auth/phones'))
  assert.equal(phone?.name, 'Pixel 10')
})

// Tokens.

test('a rotated token takes the place of the one before', async () => {
  const phone = await registered()
  const before = await phone.store.get()
  await unwrap(phone.client.rotate())
  assert.notEqual(await phone.store.get(), before)
  assert.ok(await isSignedIn(phone))
  const old = memoryStore()
  await old.set(before!)
  assert.equal(await isSignedIn(install({ store: old })), false)
})

test('a rotation whose answer is lost is put right by the next call', async () => {
  const { client, network, told } = await registered()
  network.once('POST /v1/auth/rotate', 'lost')
  assert.equal((await client.rotate()).error?.kind, 'no-answer')
  assert.deepEqual(await unwrap(client.api.GET(products)), [])
  assert.deepEqual(network.calls.slice(-4), [
    'POST /v1/auth/rotate',
    'GET /v1/products',
    'POST /v1/auth/rotate',
    'GET /v1/products',
  ])
  assert.deepEqual(network.statuses.slice(-4), [200, 401, 200, 200])
  assert.deepEqual(told, [])
})

test('a lost rotation is put right by another start of the app', async () => {
  const first = await registered()
  first.network.once('POST /v1/auth/rotate', 'lost')
  await first.client.rotate()
  assert.ok(await isSignedIn(install({ store: first.store })))
})

test('a rotation that was offline leaves the token good', async () => {
  const phone = await registered()
  phone.network.once('POST /v1/auth/rotate', 'leaves')
  assert.equal((await phone.client.rotate()).error?.kind, 'no-answer')
  assert.ok(await isSignedIn(phone))
  await unwrap(phone.client.rotate())
  assert.ok(await isSignedIn(phone))
})

test('calls under way during a rotation succeed', async () => {
  const { client } = await registered()
  const calls = Array.from({ length: 8 }, () => client.api.GET('/v1/auth/device'))
  const [rotated, ...answers] = await Promise.all([client.rotate(), ...calls])
  assert.equal(rotated?.error, undefined)
  assert.deepEqual(answers.map(({ response }) => response.status), Array(8).fill(200))
})

test('a refused phone is told, keeps its token, and begins no second diary', async () => {
  const first = await registered()
  const second = await joined(first)
  const { phoneId } = await unwrap(second.client.phone())
  await unwrap(second.client.api.GET(products))
  await unwrap(first.client.api.DELETE('/v1/auth/phones/{id}', { params: { path: { id: phoneId } } }))
  const stored = await second.store.get()
  const { error } = await second.client.api.GET(products)
  const refused = { kind: 'signed-out', detail: 'Invalid or expired token', why: 'refused' }
  assert.deepEqual(error, refused)
  assert.deepEqual((await second.client.rotate()).error, refused)
  assert.deepEqual(second.told, ['refused', 'refused'])
  assert.equal(second.network.calls.filter((call) => call.endsWith('register')).length, 0)
  assert.equal(JSON.parse((await second.store.get())!).phone.token, JSON.parse(stored!).phone.token)
  // What an operator had blocked may be good again.
  assert.deepEqual((await second.client.register()).data?.phoneId, phoneId)
})

test('a forgotten phone begins anew', async () => {
  const phone = await registered()
  const before = await unwrap(phone.client.phone())
  await phone.client.forget()
  assert.equal(await phone.store.get(), null)
  assert.notEqual((await unwrap(phone.client.phone())).deviceId, before.deviceId)
})

// Failures.

test('a 422 names the fields', async () => {
  const { client } = await registered()
  const body = { name: '', kcal_100g: 5000 }
  const { error } = await client.api.POST(products, { body })
  assert.equal(error?.kind, 'invalid')
  const fields = error.kind === 'invalid' ? error.fields : []
  assert.deepEqual(fields.map(({ loc, type }) => [loc, type]), [
    [['body', 'name'], 'blank'],
    [['body', 'kcal_100g'], 'max_value'],
  ])
})

test('each status is a kind of failure', async () => {
  const { client, network } = await registered()
  const cases: [number, Failure['kind']][] = [
    [400, 'bug'],
    [404, 'not-found'],
    [409, 'conflict'],
    [413, 'bug'],
    [422, 'invalid'],
    [429, 'try-later'],
    [500, 'bug'],
    [503, 'try-later'],
  ]
  for (const [status, kind] of cases) {
    network.once(`GET ${products}`, answer(status, 'A sentence'))
    const { error, response } = await client.api.GET(products)
    assert.deepEqual([error?.kind, error?.detail, response.status], [kind, 'A sentence', status])
  }
})

test('what a proxy answers in the place of the server is no bug', async () => {
  const { client, network } = await registered()
  const page = (status: number) =>
    new Response('<html>', { status, headers: { 'Content-Type': 'text/html' } })
  network.once(`GET ${products}`, page(502))
  assert.equal((await client.api.GET(products)).error?.kind, 'try-later')
  network.once(`GET ${products}`, page(200))
  assert.equal((await client.api.GET(products)).error?.kind, 'no-answer')
})

test('unwrap returns data, and throws failures', async () => {
  const { client } = await registered()
  const made = await unwrap(client.api.POST(products, { body: RICE }))
  assert.equal(made.name, 'Rice')
  const path = { id: crypto.randomUUID() }
  await assert.rejects(
    unwrap(client.api.GET('/v1/products/{id}', { params: { path } })),
    (error: CountOnMeError) => {
      assert.deepEqual(error.failure, { kind: 'not-found', detail: 'Product not found' })
      return true
    },
  )
})

test('a server that is down is no answer', async () => {
  const server = createServer().listen(0)
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const client = new CountOnMe({ server: `http://127.0.0.1:${port}`, store: memoryStore() })
  assert.equal((await client.phone()).error?.kind, 'no-answer')
  assert.equal((await client.api.GET(products)).error?.kind, 'no-answer')
})

test('an answer that does not come in time, or breaks off, is no answer', async (t) => {
  const { store } = await registered()
  const server = createServer((request, response) => {
    if (!request.url?.includes('limit=2')) return
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.write('[')
    setImmediate(() => response.destroy())
  }).listen(0)
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const client = new CountOnMe({ server: `http://127.0.0.1:${port}`, store, timeoutSeconds: 0.1 })
  const late = await client.api.GET(products)
  assert.match(late.error?.detail ?? '', /No answer within 0.1 seconds/)
  const broken = await client.api.GET(products, { params: { query: { limit: 2 } } })
  assert.deepEqual([late.error?.kind, broken.error?.kind], ['no-answer', 'no-answer'])
  const params = { query: { last_pulled_at: '0' } }
  const large = await client.api.GET('/v1/sync', { params })
  assert.match(large.error?.detail ?? '', /No answer within 1 seconds/)
})

test('what the app aborts throws, as fetch does', async () => {
  const { client } = await registered()
  const signal = AbortSignal.abort()
  await assert.rejects(client.api.GET(products, { signal }), { name: 'AbortError' })
})

// Waiting.

test('Retry-After is waited for, and the call repeated with its body', async () => {
  const { client, network } = await registered()
  network.once(`POST ${products}`, answer(503, 'Wait', { 'Retry-After': '1' }))
  const before = Date.now()
  const made = await unwrap(client.api.POST(products, { body: RICE }))
  assert.ok(Date.now() - before >= 990)
  assert.equal(made.name, 'Rice')
  assert.deepEqual(network.statuses.slice(-2), [503, 201])
})

test('a call is repeated twice at most, and not where the wait is long', async () => {
  const { client, network } = await registered()
  for (const [seconds, times] of [['0', 3], ['60', 1]] as const) {
    const before = network.calls.length
    network.befalls = () => answer(429, 'Too many requests', { 'Retry-After': seconds })
    const { error } = await client.api.GET(products)
    const detail = 'Too many requests'
    assert.deepEqual(error, { kind: 'try-later', detail, retryAfter: Number(seconds) })
    assert.equal(network.calls.length - before, times)
  }
})

// ETags.

test('a list that has not changed is not sent again', async () => {
  const { client, network } = await registered()
  await unwrap(client.api.POST(products, { body: RICE }))
  const first = await unwrap(client.api.GET(products))
  const { data, response } = await client.api.GET(products)
  assert.deepEqual(network.statuses.slice(-2), [200, 304])
  assert.deepEqual(data, first)
  assert.equal(response.status, 200)
  await unwrap(client.api.POST(products, { body: { ...RICE, name: 'Brown rice' } }))
  assert.equal((await unwrap(client.api.GET(products))).length, 2)
  assert.equal(network.statuses.at(-1), 200)
})

test('pages of a list are remembered each', async () => {
  const { client } = await registered()
  for (const name of ['A', 'B']) await unwrap(client.api.POST(products, { body: { ...RICE, name } }))
  for (let time = 0; time < 2; time++) {
    for (const [offset, name] of ['A', 'B'].entries()) {
      const query = { limit: 1, offset }
      const [found] = await unwrap(client.api.GET(products, { params: { query } }))
      assert.equal(found?.name, name)
    }
  }
})
