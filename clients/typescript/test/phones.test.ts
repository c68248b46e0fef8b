// The flows of docs/phones.md, in its order.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { qrText, readCode, readQr, unwrap } from 'countonme-client'

import { SERVER, install, isSignedIn, joined, names, registered, type TestPhone } from './helpers.js'

const NOT_FOUND = { kind: 'not-found', detail: 'Code not found or expired' }

const stored = async (phone: TestPhone) => JSON.parse((await phone.store.get()) ?? '{}')

async function recoveryKey({ client }: TestPhone, present?: string) {
  const body = { recovery_key: present }
  return (await unwrap(client.api.POST('/v1/auth/recovery-key', { body }))).recovery_key
}

test('a person renames the phone', async () => {
  const phone = await registered({ phoneName: 'Pixel 7' })
  const { phoneId: id } = await unwrap(phone.client.phone())
  const call = { params: { path: { id } }, body: { name: 'Old Pixel' } }
  await unwrap(phone.client.api.PATCH('/v1/auth/phones/{id}', call))
  assert.deepEqual(await names(phone), ['Old Pixel'])
})

// Add a phone.

test('a phone joins by the QR code of another, and sees the same rows', async () => {
  const first = await registered({ phoneName: 'Pixel 7' })
  const body = { name: 'Rice', kcal_100g: 130 }
  await unwrap(first.client.api.POST('/v1/products', { body }))
  const { code } = await unwrap(first.client.pairingCode())
  const scanned = readQr(qrText(code, SERVER))
  assert.ok(scanned && scanned !== 'newer')
  assert.equal(scanned.host, new URL(SERVER).host)
  const second = install({ phoneName: 'iPhone 15' })
  const paired = await unwrap(second.client.pair(scanned.text))
  assert.equal(paired.deviceId, (await unwrap(first.client.phone())).deviceId)
  assert.deepEqual(await names(first), ['Pixel 7', 'iPhone 15'])
  const found = await unwrap(second.client.api.GET('/v1/products'))
  assert.deepEqual(found.map(({ name }) => name), ['Rice'])
})

test('a typed code may be in small letters, with blanks in the place of hyphens', async () => {
  const { code } = await unwrap((await registered()).client.pairingCode())
  await unwrap(install().client.pair(` ${code.toLowerCase().replaceAll('-', ' ')}`))
})

test('after a lost answer the same code lets the phone in once', async () => {
  const first = await registered()
  const { code } = await unwrap(first.client.pairingCode())
  const second = install()
  second.network.once('POST /v1/auth/pair', 'lost')
  assert.equal((await second.client.pair(code)).error?.kind, 'no-answer')
  const { phoneId } = (await stored(second)).pairing
  assert.equal((await unwrap(second.client.pair(code.toLowerCase()))).phoneId, phoneId)
  assert.ok(await isSignedIn(second))
  assert.equal((await names(first)).length, 2)
  assert.deepEqual((await install().client.pair(code)).error, NOT_FOUND)
})

test('after a lost answer an app that is started again joins by its first call', async () => {
  const first = await registered()
  const { code } = await unwrap(first.client.pairingCode())
  const second = install()
  second.network.once('POST /v1/auth/pair', 'lost')
  await second.client.pair(code)
  const again = install({ store: second.store })
  assert.ok(await isSignedIn(again))
  const { deviceId } = await unwrap(first.client.phone())
  assert.equal((await unwrap(again.client.phone())).deviceId, deviceId)
})

test('the code is forgotten once its token was accepted', async () => {
  const second = await joined(await registered())
  assert.ok((await stored(second)).pairing)
  assert.ok(await isSignedIn(second))
  assert.equal((await stored(second)).pairing, undefined)
})

test('a token that a later answer replaced is asked for again', async () => {
  const first = await registered()
  const { code } = await unwrap(first.client.pairingCode())
  const second = install()
  await unwrap(second.client.pair(code))
  // As if a request that was given up had reached the server after the one that was answered.
  const { phoneId } = (await stored(second)).pairing
  const body = JSON.stringify({ code, phone_id: phoneId })
  const headers = { 'Content-Type': 'application/json' }
  await fetch(`${SERVER}/v1/auth/pair`, { method: 'POST', body, headers })
  assert.ok(await isSignedIn(second))
  assert.deepEqual(second.told, [])
})

test('a wrong code is not found, and leaves the phone as it was', async () => {
  const fresh = install()
  assert.deepEqual((await fresh.client.pair('BCDF-GHJK-LMNP')).error, NOT_FOUND)
  assert.deepEqual(await stored(fresh), {})
  const phone = await registered()
  const before = await stored(phone)
  assert.deepEqual((await phone.client.pair('BCDF-GHJK-LMNP')).error, NOT_FOUND)
  assert.deepEqual(await stored(phone), before)
  assert.ok(await isSignedIn(phone))
})

test('codes and QR codes are checked before the server is asked', () => {
  assert.deepEqual(readCode('bcdf ghjk-lmnp'), { kind: 'pairing-code', text: 'BCDFGHJKLMNP' })
  const key = 'MASGG-V198V-M5ZPQ-Z09HB-SZCRKV'
  const text = key.replaceAll('-', '')
  assert.deepEqual(readCode(key), { kind: 'recovery-key', text })
  assert.deepEqual(readCode(key.replace('1', 'l').replace('0', 'o')), { kind: 'recovery-key', text })
  for (const slip of ['', 'BCDF-GHJK-LMN', 'ACDF-GHJK-LMNP', key.replace('G', 'H')]) {
    assert.equal(readCode(slip), null)
  }
  assert.equal(readQr('COUNTONME 2 something else'), 'newer')
  for (const foreign of ['https://example.org', 'COUNTONME', 'COUNTONME 1 BCDF', '']) {
    assert.equal(readQr(foreign), null)
  }
  const printed = readQr(qrText(key, 'https://api.example.org:443/'))
  assert.deepEqual(printed, { kind: 'recovery-key', text, host: 'api.example.org' })
})

// Move to a new phone.

test('a move signs the old phone out when the new one first calls', async () => {
  const old = await registered()
  const { code } = await unwrap(old.client.pairingCode({ move: true }))
  const next = install()
  await unwrap(next.client.pair(code))
  assert.ok(await isSignedIn(old))
  assert.ok(await isSignedIn(next))
  const { error } = await old.client.api.GET('/v1/auth/phones')
  assert.deepEqual(error, { kind: 'signed-out', detail: 'Invalid or expired token', why: 'moved' })
  assert.deepEqual(old.told, ['moved'])
})

test('long after a code to move, a refusal is not taken for the move', async (t) => {
  const first = await registered()
  const second = await joined(first)
  await unwrap(second.client.pairingCode({ move: true }))
  const { phoneId: id } = await unwrap(second.client.phone())
  await unwrap(first.client.api.DELETE('/v1/auth/phones/{id}', { params: { path: { id } } }))
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 60 * 60_000 })
  assert.equal(await isSignedIn(second), false)
  assert.deepEqual(second.told, ['refused'])
})

test('a code to add a phone takes the place of one to move', async () => {
  const first = await registered()
  await unwrap(first.client.pairingCode({ move: true }))
  const second = await joined(first)
  assert.ok(await isSignedIn(second))
  assert.ok(await isSignedIn(first))
})

// The recovery key, lost and stolen phones.

test('a key is replaced at once by showing it, and wrong ones are a conflict', async () => {
  const phone = await registered()
  const old = await recoveryKey(phone)
  assert.equal(readCode(old)?.kind, 'recovery-key')
  const key = await recoveryKey(phone, old)
  assert.deepEqual((await install().client.pair(old)).error, NOT_FOUND)
  const call = { body: { recovery_key: old } }
  const { error } = await phone.client.api.POST('/v1/auth/recovery-key', call)
  assert.deepEqual(error, { kind: 'conflict', detail: 'Not the device\'s recovery key' })
  const device = await unwrap(phone.client.api.GET('/v1/auth/device'))
  assert.ok(device.recovery_key_created_at)
  await unwrap(install().client.pair(key))
})

test('a phone is recovered by the key, and the lost one signed out', async () => {
  const lost = await registered({ phoneName: 'Lost' })
  const key = await recoveryKey(lost)
  const found = install({ phoneName: 'Found' })
  await unwrap(found.client.pair(key))
  assert.ok(await isSignedIn(found))
  const { phoneId: id } = await unwrap(lost.client.phone())
  await unwrap(found.client.api.DELETE('/v1/auth/phones/{id}', { params: { path: { id } } }))
  assert.equal(await isSignedIn(lost), false)
  assert.deepEqual(await names(found), ['Found'])
})

test('the owner of a stolen phone signs out all others, and voids the thief\'s key', async () => {
  const stolen = await registered({ phoneName: 'Stolen' })
  const key = await recoveryKey(stolen)
  const thiefs = await recoveryKey(stolen)
  const owner = install({ phoneName: 'New' })
  await unwrap(owner.client.pair(key, { revokeOthers: true }))
  assert.deepEqual(await names(owner), ['New'])
  assert.equal(await isSignedIn(stolen), false)
  assert.deepEqual((await install().client.pair(thiefs)).error, NOT_FOUND)
})

test('revoking others takes a key, not a code', async () => {
  const { code } = await unwrap((await registered()).client.pairingCode())
  const { error } = await install().client.pair(code, { revokeOthers: true })
  assert.equal(error?.kind, 'invalid')
})

// Sign out.

test('a phone that was signed out here begins no diary until it is told to', async () => {
  const first = await registered()
  const second = await joined(first)
  await unwrap(second.client.signOut())
  const signedOut = { kind: 'signed-out', detail: 'This phone is signed out', why: 'here' }
  const before = second.network.calls.length
  assert.deepEqual((await second.client.api.GET('/v1/products')).error, signedOut)
  assert.deepEqual((await second.client.phone()).error, signedOut)
  assert.deepEqual((await second.client.rotate()).error, signedOut)
  assert.deepEqual((await second.client.pair('BCDF-GHJK-LMNP')).error, NOT_FOUND)
  assert.deepEqual((await second.client.phone()).error, signedOut)
  assert.equal(second.network.calls.length, before + 1)
  assert.equal((await names(first)).length, 1)
  const { deviceId } = await unwrap(second.client.register())
  assert.notEqual(deviceId, (await unwrap(first.client.phone())).deviceId)
})

test('signing out may be repeated after a lost answer', async () => {
  const second = await joined(await registered())
  const { phoneId } = await unwrap(second.client.phone())
  second.network.once(`DELETE /v1/auth/phones/${phoneId}`, 'lost')
  assert.equal((await second.client.signOut()).error?.kind, 'no-answer')
  await unwrap(second.client.signOut())
  assert.deepEqual(await stored(second), { isSignedOut: true })
})

test('the last phone stays, and erases', async () => {
  const phone = await registered()
  const { error } = await phone.client.signOut()
  assert.deepEqual(error, { kind: 'conflict', detail: 'Erase the device instead' })
  assert.ok(await isSignedIn(phone))
  await unwrap(phone.client.erase())
  assert.equal((await phone.client.phone()).error?.kind, 'signed-out')
})

test('a phone that was signed out joins its device again under a new id', async () => {
  const first = await registered()
  const second = await joined(first)
  const before = await unwrap(second.client.phone())
  const params = { path: { id: before.phoneId } }
  await unwrap(first.client.api.DELETE('/v1/auth/phones/{id}', { params }))
  assert.equal(await isSignedIn(second), false)
  const { code } = await unwrap(first.client.pairingCode())
  const after = await unwrap(second.client.pair(code))
  assert.equal(after.deviceId, before.deviceId)
  assert.notEqual(after.phoneId, before.phoneId)
  assert.equal((await stored(second)).former, undefined)
  assert.ok(await isSignedIn(second))
})

test('a phone that joined by its key, and was signed out, joins by the same key', async () => {
  const first = await registered()
  const key = await recoveryKey(first)
  const second = install()
  second.network.once('POST /v1/auth/pair', 'lost')
  await second.client.pair(key)
  // The answer came too late: meanwhile the person signed that phone out.
  const { phoneId: id } = (await stored(second)).pairing
  await unwrap(first.client.api.DELETE('/v1/auth/phones/{id}', { params: { path: { id } } }))
  assert.notEqual((await unwrap(second.client.pair(key))).phoneId, id)
  assert.ok(await isSignedIn(second))
})

// A phone that has rows of its own.

test('the former device is erased by its own token, once', async () => {
  const second = await registered()
  const former = install()
  await former.store.set((await second.store.get())!)
  const { deviceId } = await unwrap(second.client.phone())
  const first = await registered()
  const { code } = await unwrap(first.client.pairingCode())
  await unwrap(second.client.pair(code))
  assert.equal((await stored(second)).former.deviceId, deviceId)
  assert.ok(await isSignedIn(former))
  second.network.once('DELETE /v1/auth/device', 'lost')
  assert.equal((await second.client.eraseFormer()).error?.kind, 'no-answer')
  await unwrap(second.client.eraseFormer())
  assert.equal(await isSignedIn(former), false)
  assert.ok(await isSignedIn(second))
  const before = second.network.calls.length
  await unwrap(second.client.eraseFormer())
  assert.equal(second.network.calls.length, before)
})

// What each error asks of the app.

test('a ninth phone waits until another has gone, and its code stays good', async () => {
  const first = await registered()
  for (let phone = 2; phone <= 8; phone++) await joined(first)
  const { code } = await unwrap(first.client.pairingCode())
  const ninth = install()
  const { error } = await ninth.client.pair(code)
  assert.deepEqual(error, { kind: 'conflict', detail: 'A device has at most 8 phones' })
  const [, second] = await unwrap(first.client.api.GET('/v1/auth/phones'))
  const params = { path: { id: second!.id } }
  await unwrap(first.client.api.DELETE('/v1/auth/phones/{id}', { params }))
  await unwrap(ninth.client.pair(code))
  assert.ok(await isSignedIn(ninth))
})
