// Two tabs of a browser: two clients with one store, of which one at a time may change it.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { unwrap } from 'countonme-client'

import { install, isSignedIn, registered } from './helpers.js'

// What the Web Locks API promises of `request(name, work)`; Node 20 does not have it.
class Locks {
  readonly held = new Set<string>()
  readonly asked: string[] = []
  readonly waiting: (() => void)[] = []

  readonly request = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    this.asked.push(name)
    while (this.held.has(name)) await new Promise<void>((resolve) => this.waiting.push(resolve))
    this.held.add(name)
    try {
      return await work()
    } finally {
      this.held.delete(name)
      for (const go of this.waiting.splice(0)) go()
    }
  }
}

function tabs() {
  test('register one device', async () => {
    const one = install()
    const two = install({ store: one.store })
    const [first, second] = await Promise.all([one.client.phone(), two.client.phone()])
    assert.deepEqual(await unwrap(first), await unwrap(second))
    assert.equal(one.network.calls.length + two.network.calls.length, 1)
    assert.ok((await isSignedIn(one)) && (await isSignedIn(two)))
  })

  test('follow each other’s rotation', async () => {
    const one = await registered()
    const two = install({ store: one.store })
    const rotations = [one.client.rotate(), two.client.rotate(), one.client.rotate()]
    const calls = [one, two, one, two].map(({ client }) => client.api.GET('/v1/auth/device'))
    for (const done of await Promise.all([...rotations, ...calls])) assert.equal(done.error, undefined)
    assert.deepEqual([...one.told, ...two.told], [])
  })

  test('put one lost rotation right, together', async () => {
    const one = await registered()
    const two = install({ store: one.store })
    one.network.once('POST /v1/auth/rotate', 'lost')
    await one.client.rotate()
    assert.deepEqual(await Promise.all([one, two, one, two].map(isSignedIn)), Array(4).fill(true))
    assert.deepEqual([...one.told, ...two.told], [])
  })
}

describe('tabs without Web Locks, in one process,', tabs)

describe('tabs with Web Locks', () => {
  const locks = new Locks()
  before(() => Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true }))
  after(() => {
    Reflect.deleteProperty(globalThis, 'navigator')
    assert.equal(new Set(locks.asked).size, 1)
  })
  tabs()
})
