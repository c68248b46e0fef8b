// The calls, as openapi-fetch types them, with our failures in the place of the server's errors.
import createClient, { type Client } from 'openapi-fetch'

import { CountOnMeError, failureOf, type Failure, type SignedOut } from './failures.js'
import type { paths } from './openapi.js'
import type { Send } from './transport.js'

// These change what is stored: they are methods of the client.
type Own =
  | '/v1/auth/register'
  | '/v1/auth/pair'
  | '/v1/auth/rotate'
  | '/v1/auth/pairing-code'

type Success = 200 | 201 | 204
type Call<Operation> = Operation extends { responses: infer Responses }
  ? Omit<Operation, 'responses'> & {
      responses: {
        [Status in keyof Responses as Status extends Success ? Status : never]: Responses[Status]
      } & { default: { content: { 'application/json': Failure } } }
    }
  : Operation
type Calls<Paths> = {
  [Path in keyof Paths]: { [Method in keyof Paths[Path]]: Call<Paths[Path][Method]> }
}

/** Every call of the server, under its method and path. */
export type Api = Client<Calls<Omit<paths, Own>>>
export type FullApi = Client<Calls<paths>>

// What stands for an answer that never came. No server answers so.
const NO_ANSWER = 599

/** Return the calls that are sent by a function, and whose errors are Failures. */
export function apiOf(server: string, send: Send, why: () => Promise<SignedOut>): FullApi {
  return createClient<Calls<paths>>({ baseUrl: server, fetch: withFailures(send, why) })
}

/** Answer what went wrong with a Failure in the body, where openapi-fetch looks for it. */
function withFailures(send: Send, why: () => Promise<SignedOut>): Send {
  return async (request) => {
    try {
      const answer = await send(request)
      if (!answer.ok) return answerOf(await failureOf(answer, await why()), answer.status)
      if (isPage(answer)) throw new Error('A page came: does this network want a login?')
      return answer
    } catch (error) {
      // What the app itself has aborted, it knows.
      if (request.signal.aborted) throw error
      const isKnown = error instanceof CountOnMeError
      return answerOf(isKnown ? error.failure : noAnswer(String(error)), NO_ANSWER)
    }
  }
}

const noAnswer = (detail: string): Failure => ({ kind: 'no-answer', detail })

const isPage = (answer: Response) =>
  answer.headers.get('Content-Type')?.startsWith('text/html') ?? false

function answerOf(failure: Failure, status: number): Response {
  return new Response(JSON.stringify(failure), {
    status,
    headers: { 'Content-Type': 'application/json' },
  })
}
