import { apiOf, type Api, type FullApi } from './api.js'
import { readCode } from './codes.js'
import {
  readCredentials,
  type Credentials,
  type Pairing,
  type Phone,
  type SignedInPhone,
  type TokenStore,
} from './credentials.js'
import { CountOnMeError, type Failure, type Result, type SignedOut } from './failures.js'
import { locked } from './lock.js'
import { withETags, withRetry, withTimeout, type Remembered, type Send } from './transport.js'

export interface Options {
  /** The server's address, without a path: `https://api.example.org`. */
  server: string
  store: TokenStore
  /** What people see in the list of phones, 1 to 50 characters: the model, as `Pixel 10`. */
  phoneName?: string
  /** Called whenever a call finds that the server does not know this phone any more. */
  onSignedOut?: (why: SignedOut) => void
  /** How long a call waits for its answer; sync, export and import wait ten times as long. */
  timeoutSeconds?: number
  /** Makes ids. React Native has none of its own: pass that of `expo-crypto`. */
  randomUUID?: () => string
  fetch?: typeof globalThis.fetch
}

// A code is good for ten minutes. The other phone's first call may come a while after it has paired.
const MOVE_TAKES = 20 * 60_000

/**
 * A phone of CountOnMe. The first call registers a device where nothing is stored. No call and no
 * refusal ever begins a second diary: only `register()` after `signOut()`, `erase()` or `forget()`.
 *
 * No method throws on what a server or a network may do: see `Result` and `Failure`.
 */
export class CountOnMe {
  /** Every call, typed: `await client.api.GET('/v1/products', { params: { query: { limit: 20 } } })`. */
  readonly api: Api

  // The same without a token.
  readonly #anonymous: FullApi
  readonly #authorized: FullApi
  readonly #send: Send
  readonly #remembered = new Map<string, Remembered>()
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
    // React Native's fetch wants to be called as a function of the global object.
    const fetch: typeof globalThis.fetch = options.fetch ?? ((...call) => globalThis.fetch(...call))
    this.#send = withRetry(withTimeout(fetch, options.timeoutSeconds ?? 30))
    const why = () => this.#whySignedOut()
    this.#anonymous = apiOf(options.server, this.#send, why)
    const withToken = withETags((request) => this.#sendWithToken(request), this.#remembered)
    this.#authorized = apiOf(options.server, withToken, why)
    this.api = this.#authorized as unknown as Api
  }

  /** Return this phone. It is registered first where nothing is stored. */
  async phone(): Promise<Result<Phone>> {
    const { phone } = await this.#read()
    if (phone) return { data: publicPart(phone) }
    return this.#locked(async () => {
      const { phone, isSignedOut, pairing } = await this.#read()
      if (phone) return { data: publicPart(phone) }
      if (isSignedOut) return { error: signedOut('here') }
      // Its answer was lost: the person wanted that diary, and no other.
      return pairing ? this.#pair(pairing) : this.#register()
    })
  }

  /** Begin a diary, or return this phone where it has one. */
  register(): Promise<Result<Phone>> {
    return this.#locked(async () => {
      const { phone } = await this.#read()
      return phone ? { data: publicPart(phone) } : this.#register()
    })
  }

  /**
   * Join the device that a pairing code, or the recovery key, is of. After a lost answer, ask again
   * with the same code. Who had another device before keeps its token: see `eraseFormer()`.
   *
   * @param revokeOthers - with a recovery key alone: the other phone was stolen. Signs out all others.
   */
  pair(code: string, { revokeOthers = false } = {}): Promise<Result<Phone>> {
    return this.#locked(async () => {
      const { pairing: before } = await this.#read()
      const asked = { code: readCode(code)?.text ?? code, revokeOthers }
      const isRepeated = before?.code === asked.code && before.revokeOthers === revokeOthers
      const phoneId = isRepeated ? before.phoneId : this.#newId()
      const pairing: Pairing = { ...asked, phoneId, name: this.#options.phoneName }
      const paired = await this.#pair(pairing)
      // With a recovery key that id may have joined, and have been signed out since.
      if (paired.error?.kind !== 'conflict' || !isRepeated) return paired
      return this.#pair({ ...pairing, phoneId: this.#newId() })
    })
  }

  /**
   * Return a code by which another phone joins this device, good once, for ten minutes.
   *
   * @param move - this phone is signed out when the other first calls. Sync before.
   */
  async pairingCode({ move = false } = {}): Promise<Result<{ code: string; expires_at: string }>> {
    const { data, error } = await this.#authorized.POST('/v1/auth/pairing-code', { body: { move } })
    if (error) return { error }
    await this.#update(({ phone, ...rest }) => ({
      ...rest,
      phone: phone && { ...phone, movesUntil: move ? Date.now() + MOVE_TAKES : undefined },
    }))
    return { data }
  }

  /** Change this phone's token for a new one. After a lost answer the next call puts it right. */
  rotate(): Promise<Result<Phone>> {
    return this.#locked(async () => {
      const { phone } = await this.#read()
      if (!phone) return { error: signedOut('here') }
      const rotated = await this.#rotate(phone)
      if (rotated.error?.kind === 'signed-out') await this.#tellSignedOut()
      return rotated
    })
  }

  /** Sign this phone out. The last one of a device can't go (`conflict`): offer `erase()`. */
  async signOut(): Promise<Result<null>> {
    const { data: phone, error } = await this.phone()
    if (error) return { error }
    const params = { path: { id: phone.phoneId } }
    return this.#end(await this.api.DELETE('/v1/auth/phones/{id}', { params }))
  }

  /** Erase the device with its whole diary, and sign out all its phones. There is no way back. */
  async erase(): Promise<Result<null>> {
    return this.#end(await this.api.DELETE('/v1/auth/device'))
  }

  /**
   * Erase the device that this phone had before it paired, if any: once its rows are synced to the
   * new one, or were left.
   */
  async eraseFormer(): Promise<Result<null>> {
    const { former } = await this.#read()
    if (!former) return { data: null }
    const { error } = await this.#anonymous.DELETE('/v1/auth/device', bearing(former.token))
    if (error && error.kind !== 'signed-out') return { error }
    await this.#update(({ former: _, ...rest }) => rest)
    return { data: null }
  }

  /** Forget token and ids, as if the app had just been installed. The server learns nothing of it. */
  async forget(): Promise<void> {
    this.#remembered.clear()
    await this.#locked(async () => this.#options.store.remove())
  }

  /** Send a request with the token; with another, once, where this one was replaced meanwhile. */
  async #sendWithToken(request: Request): Promise<Response> {
    const { error } = await this.phone()
    if (error) throw new CountOnMeError(error)
    const { phone, pairing } = await this.#read()
    if (!phone) throw new CountOnMeError(signedOut('here'))
    let answer = await this.#send(authorize(request.clone(), phone.token))
    if (answer.status === 401) {
      const token = await this.#tokenInPlaceOf(phone.token)
      if (token) answer = await this.#send(authorize(request, token))
    }
    if (answer.status === 401) await this.#tellSignedOut()
    else if (pairing?.phoneId === phone.phoneId) await this.#update(withoutPairing)
    return answer
  }

  /** Return the token to use after one was refused, or null if there is none. */
  #tokenInPlaceOf(refused: string): Promise<string | null> {
    return this.#locked(async () => {
      const { phone, pairing } = await this.#read()
      if (phone?.token !== refused) return phone?.token ?? null
      // An answer may have been lost that had another token: asked again, it comes again.
      let again: Result<Phone>
      if (phone.isRotating) again = await this.#rotate(phone)
      else if (pairing?.phoneId === phone.phoneId) again = await this.#pair(pairing)
      else return null
      const { error } = again
      if (error && isUnsettled(error)) throw new CountOnMeError(error)
      return error ? null : (await this.#read()).phone!.token
    })
  }

  async #register(): Promise<Result<Phone>> {
    // An answer can be lost, and its device with it: each attempt has an id of its own.
    for (let attempt = 1; ; attempt++) {
      const deviceId = this.#newId()
      const body = { device_id: deviceId, name: this.#options.phoneName }
      const { data, error } = await this.#anonymous.POST('/v1/auth/register', { body })
      if (error?.kind === 'conflict' && attempt === 1) continue
      if (error) return { error }
      const phone = { deviceId, phoneId: deviceId, token: data.token }
      await this.#write({ phone })
      return { data: publicPart(phone) }
    }
  }

  async #rotate(phone: SignedInPhone): Promise<Result<Phone>> {
    await this.#write({ ...(await this.#read()), phone: { ...phone, isRotating: true } })
    const { data, error } = await this.#anonymous.POST('/v1/auth/rotate', bearing(phone.token))
    if (error) return { error }
    await this.#write({
      ...(await this.#read()),
      phone: { ...phone, isRotating: false, token: data.token },
    })
    return { data: publicPart(phone) }
  }

  async #pair(pairing: Pairing): Promise<Result<Phone>> {
    const credentials = await this.#read()
    await this.#write({ ...credentials, pairing })
    const { code, phoneId, name, revokeOthers } = pairing
    const body = { code, phone_id: phoneId, name, ...(revokeOthers && { revoke_others: true }) }
    const { data, error } = await this.#anonymous.POST('/v1/auth/pair', { body })
    if (error) {
      if (!isUnsettled(error)) await this.#write(withoutPairing(credentials))
      return { error }
    }
    const phone = { deviceId: data.device_id, phoneId, token: data.token }
    const before = credentials.phone
    const isOther = before && before.deviceId !== phone.deviceId
    const former = isOther && { deviceId: before.deviceId, token: before.token }
    this.#remembered.clear()
    await this.#write({ phone, pairing, former: former || credentials.former })
    return { data: publicPart(phone) }
  }

  /** Take note of having signed out here, if that succeeded now or before. */
  async #end({ error }: { error?: Failure }): Promise<Result<null>> {
    if (error && error.kind !== 'signed-out') return { error }
    this.#remembered.clear()
    await this.#update(({ former }) => ({ former, isSignedOut: true }))
    return { data: null }
  }

  async #tellSignedOut(): Promise<void> {
    this.#options.onSignedOut?.(await this.#whySignedOut())
  }

  async #whySignedOut(): Promise<SignedOut> {
    const { phone } = await this.#read()
    if (!phone) return 'here'
    return Date.now() < (phone.movesUntil ?? 0) ? 'moved' : 'refused'
  }

  #newId(): string {
    const make = this.#options.randomUUID ?? (() => globalThis.crypto.randomUUID())
    return make().toLowerCase()
  }

  #read(): Promise<Credentials> {
    return readCredentials(this.#options.store)
  }

  async #write(credentials: Credentials): Promise<void> {
    await this.#options.store.set(JSON.stringify(credentials))
  }

  #update(change: (credentials: Credentials) => Credentials): Promise<void> {
    return this.#locked(async () => this.#write(change(await this.#read())))
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    return locked(`countonme ${this.#options.server}`, work)
  }
}

const withoutPairing = ({ pairing: _, ...rest }: Credentials): Credentials => rest

/** Return whether a call may have succeeded, or may yet. */
const isUnsettled = ({ kind }: Failure) => kind === 'no-answer' || kind === 'try-later'

const publicPart = ({ deviceId, phoneId }: Phone): Phone => ({ deviceId, phoneId })

const signedOut = (why: SignedOut): Failure => ({
  kind: 'signed-out',
  detail: 'This phone is signed out',
  why,
})

const bearing = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } })

function authorize(request: Request, token: string): Request {
  request.headers.set('Authorization', `Bearer ${token}`)
  return request
}
