// What comes in the place of data. Each kind asks something else of the app.

/** One field of a request that the server did not take. */
export interface FieldError {
  /** `body` or `query`, then the field; alone for a rule over several fields. */
  loc: string[]
  msg: string
  /** As `required`, `null`, `max_length`, `invalid`. */
  type: string
}

/**
 * Why the server does not know this phone: it was signed out `here`; it has `moved` to another phone,
 * by a code that it has just shown; or its token was `refused`, since it was signed out elsewhere, or the
 * device was erased or blocked. The server does not say which.
 */
export type SignedOut = 'here' | 'moved' | 'refused'

export type Failure =
  /** No answer came: the call may have succeeded. Ask again with the same ids. */
  | { kind: 'no-answer'; detail: string }
  /** Ask the person: to pair, or to begin a new diary. */
  | { kind: 'signed-out'; detail: string; why: SignedOut }
  | { kind: 'not-found'; detail: string }
  /** A conflict with what is stored; `detail` says which. */
  | { kind: 'conflict'; detail: string }
  /** Show each `msg` beside its field. */
  | { kind: 'invalid'; detail: string; fields: FieldError[] }
  /** Too many calls, or the server is away for a moment: ask again after so many seconds. */
  | { kind: 'try-later'; detail: string; retryAfter: number }
  /** The app's or the server's own mistake: report it. Repeating does not help. */
  | { kind: 'bug'; detail: string; status: number }

/** Data, or why there is none. */
export type Result<T> = { data: T; error?: undefined } | { data?: undefined; error: Failure }

/** A failure that is thrown: by `unwrap()`. */
export class CountOnMeError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.detail)
    this.name = 'CountOnMeError'
  }
}

/** Return the data of a call, or throw its failure as a CountOnMeError. */
export async function unwrap<T>(
  call: Promise<{ data?: T; error?: Failure }> | { data?: T; error?: Failure },
): Promise<T> {
  const { data, error } = await call
  if (error) throw new CountOnMeError(error)
  return data as T
}

/** Return what an answer other than 2xx means. */
export async function failureOf(answer: Response, why: SignedOut): Promise<Failure> {
  const { status } = answer
  const body: { detail?: string; errors?: FieldError[] } = await answer.json().catch(() => ({}))
  const detail = body.detail ?? `${status} without a reason`
  if (status === 401) return { kind: 'signed-out', detail, why }
  if (status === 404 && body.detail) return { kind: 'not-found', detail }
  if (status === 409) return { kind: 'conflict', detail }
  if (status === 422) return { kind: 'invalid', detail, fields: body.errors ?? [] }
  if ([429, 502, 503, 504].includes(status)) {
    return { kind: 'try-later', detail, retryAfter: retryAfter(answer) ?? 1 }
  }
  return { kind: 'bug', detail, status }
}

/** Return the seconds that an answer asks to wait, if it does. */
export function retryAfter(answer: Response): number | null {
  const seconds = Number(answer.headers.get('Retry-After') ?? NaN)
  return Number.isFinite(seconds) ? seconds : null
}
