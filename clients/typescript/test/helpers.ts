// Phones of a live server, on networks that lose things.
import LokiJSAdapter from '@nozbe/watermelondb/adapters/lokijs/index.js'
import logger from '@nozbe/watermelondb/utils/common/logger/index.js'
import type { Database } from '@nozbe/watermelondb'
import { CountOnMe, memoryStore, unwrap, type Options, type SignedOut, type TokenStore } from 'countonme-client'
import { migrations, openDiary, schema } from 'countonme-client/watermelondb'

export const SERVER = process.env.COUNTONME_URL ?? ''
if (!SERVER) throw new Error('Set COUNTONME_URL to the address of a server without throttles')

// What happens to a request: it never leaves, its answer is lost, or it is answered so.
type Accident = 'leaves' | 'lost' | Response | undefined

/** A network on which what `befalls` returns befalls a request. It notes each request that leaves. */
export class Network {
  readonly calls: string[] = []
  readonly statuses: number[] = []
  befalls: (call: string) => Accident | Promise<Accident> = () => undefined

  /** Have an accident, or something else, happen once: to the next call of that method and path. */
  once(call: string, accident: Accident | (() => Promise<unknown>)) {
    this.befalls = async (each) => {
      if (each !== call) return
      this.befalls = () => undefined
      if (typeof accident !== 'function') return accident
      await accident()
    }
  }

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input as Request, init)
    const call = `${request.method} ${new URL(request.url).pathname}`
    const accident = await this.befalls(call)
    if (accident === 'leaves') throw new TypeError('fetch failed')
    this.calls.push(call)
    const answer = accident instanceof Response ? accident : await fetch(request)
    this.statuses.push(answer.status)
    if (accident !== 'lost') return answer
    await answer.text()
    throw new TypeError('fetch failed')
  }
}

export interface TestPhone {
  client: CountOnMe
  network: Network
  store: TokenStore
  /** Why it was told that it is signed out, each time. */
  told: SignedOut[]
}

/** Return an app that was just installed, or that finds what another has stored. */
export function install({ store = memoryStore(), ...options }: Partial<Options> = {}): TestPhone {
  const network = new Network()
  const told: SignedOut[] = []
  const client = new CountOnMe({
    server: SERVER,
    store,
    fetch: network.fetch,
    onSignedOut: (why) => told.push(why),
    ...options,
  })
  return { client, network, store, told }
}

/** Return an app that has begun a diary. */
export async function registered(options: Partial<Options> = {}): Promise<TestPhone> {
  const phone = install(options)
  await unwrap(phone.client.register())
  return phone
}

/** Return an app on a further phone of a device. */
export async function joined(first: TestPhone, options: Partial<Options> = {}): Promise<TestPhone> {
  const phone = install(options)
  const { code } = await unwrap(first.client.pairingCode())
  await unwrap(phone.client.pair(code))
  return phone
}

export const isSignedIn = async ({ client }: TestPhone) =>
  (await client.api.GET('/v1/auth/device')).response.status === 200

/** Return the phones that a phone lists, by name. */
export const names = async ({ client }: TestPhone) =>
  (await unwrap(client.api.GET('/v1/auth/phones'))).map(({ name }) => name)

// The library notes every step.
logger.default.silence()
let opened = 0

/** Return an empty diary in memory, in the place of SQLite. */
export function emptyDiary(): Database {
  return openDiary(
    new LokiJSAdapter.default({
      schema,
      migrations,
      dbName: `diary ${++opened}`,
      useWebWorker: false,
      useIncrementalIndexedDB: true,
      extraLokiOptions: { autosave: false },
    }),
  )
}
