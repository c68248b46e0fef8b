export { CountOnMe, type Options } from './client.js'
export { readCode, readQr, qrText, type Code } from './codes.js'
export { memoryStore, type Phone, type TokenStore } from './credentials.js'
export {
  CountOnMeError,
  unwrap,
  type Failure,
  type FieldError,
  type Result,
  type SignedOut,
} from './failures.js'
export type { Api } from './api.js'
export type { components, paths } from './openapi.js'
