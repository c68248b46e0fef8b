// What tells the server who is calling, and where it is kept.

/** Keeps one text, which is a secret: in the system's key store, for this phone alone, in no backup. */
export interface TokenStore {
  get(): Promise<string | null> | string | null
  set(text: string): Promise<void> | void
  remove(): Promise<void> | void
}

/** Return a store that forgets with the process: for tests, and to try something. */
export function memoryStore(): TokenStore {
  let kept: string | null = null
  return {
    get: () => kept,
    set: (text) => void (kept = text),
    remove: () => void (kept = null),
  }
}

/** This phone, and the device whose diary it sees. */
export interface Phone {
  deviceId: string
  phoneId: string
}

export interface SignedInPhone extends Phone {
  token: string
  /** A new token was asked for; until its answer is stored, this one may ask again. */
  isRotating?: boolean
  /** Until then (ms), a refusal means that another phone has used the code to move. */
  movesUntil?: number
}

/** A request to pair, which may have to be sent again as it was. */
export interface Pairing {
  code: string
  phoneId: string
  name?: string
  revokeOthers?: boolean
}

/** All that is stored. Each change of it is one write. */
export interface Credentials {
  phone?: SignedInPhone
  /** From before the request until the token that it brought was accepted. */
  pairing?: Pairing
  /** The device that this phone had before it paired. */
  former?: { deviceId: string; token: string }
  /** The person signed this phone out, or erased the device, on this phone. */
  isSignedOut?: boolean
}

export async function readCredentials(store: TokenStore): Promise<Credentials> {
  return JSON.parse((await store.get()) ?? '{}') as Credentials
}
