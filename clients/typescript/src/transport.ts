// Requests on their way: how long one waits, when it is sent again, what is not fetched twice.
import { retryAfter } from './failures.js'

export type Send = (request: Request) => Promise<Response>

// These carry a whole diary, perhaps over a slow line.
const LARGE = /\/v1\/(sync|export|import)(\?|$)/
const LARGE_TAKES = 10
// An answer that asks to wait longer goes to the app.
const LONGEST_WAIT = 10
const ATTEMPTS = 3
const HAS_NO_BODY = [204, 304]
// Each is a list as the server answered it; a page of 50 entries is some 20 kB.
const REMEMBERED = 100

/**
 * Give up a request after so many seconds, one with a whole diary after ten times as many. What
 * comes is complete: a line that breaks within the body is no answer either.
 */
export function withTimeout(fetch: typeof globalThis.fetch, seconds: number): Send {
  return async (request) => {
    const takes = seconds * (LARGE.test(request.url) ? LARGE_TAKES : 1)
    // React Native has neither AbortSignal.timeout() nor AbortSignal.any().
    const controller = new AbortController()
    const abort = () => controller.abort(request.signal.reason)
    const late = new Error(`No answer within ${takes} seconds`)
    const timer = setTimeout(() => controller.abort(late), takes * 1000)
    if (request.signal.aborted) abort()
    request.signal.addEventListener('abort', abort)
    try {
      const answer = await fetch(request, { signal: controller.signal })
      return HAS_NO_BODY.includes(answer.status)
        ? answer
        : new Response(await answer.blob(), answer)
    } finally {
      clearTimeout(timer)
      request.signal.removeEventListener('abort', abort)
    }
  }
}

/** Send a request again where the server asked for that, after the seconds that it named. */
export function withRetry(send: Send): Send {
  return async (request) => {
    for (let attempt = 1; ; attempt++) {
      const answer = await send(request.clone())
      const seconds = [429, 503].includes(answer.status) ? retryAfter(answer) : null
      if (seconds === null || seconds > LONGEST_WAIT || attempt === ATTEMPTS) return answer
      await sleep(seconds, request.signal)
    }
  }
}

/** An answer that had an ETag, which is always JSON. */
export interface Remembered {
  etag: string
  body: string
  headers: Headers
}

/** Ask for what has an ETag with that ETag, and answer a 304 with what was answered before. */
export function withETags(send: Send, remembered: Map<string, Remembered>): Send {
  return async (request) => {
    if (request.method !== 'GET') return send(request)
    const { url } = request
    const before = remembered.get(url)
    if (before) request.headers.set('If-None-Match', before.etag)
    const answer = await send(request)
    if (answer.status === 304 && before) return new Response(before.body, before)
    const etag = answer.headers.get('ETag')
    if (answer.status === 200 && etag) {
      remembered.delete(url)
      remembered.set(url, { etag, body: await answer.clone().text(), headers: answer.headers })
      // A Map keeps the order in which it was filled.
      const [oldest] = remembered.keys()
      if (remembered.size > REMEMBERED) remembered.delete(oldest!)
    }
    return answer
  }
}

function sleep(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}
