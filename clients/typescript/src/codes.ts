// Codes as people type and scan them: docs/phones.md says what they look like.

const CODE = /^[BCDFGHJKLMNPQRSTVWXZ]{12}$/
const KEY_LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export interface Code {
  kind: 'pairing-code' | 'recovery-key'
  text: string
}

/**
 * Read a pairing code or a recovery key as a person typed it, or return null: a slip can be shown
 * before the server is asked. The last character of a key is a check character.
 */
export function readCode(typed: string): Code | null {
  const text = typed.toUpperCase().replace(/[\s-]/g, '')
  if (CODE.test(text)) return { kind: 'pairing-code', text }
  const key = text.replace(/O/g, '0').replace(/[IL]/g, '1')
  const numbers = [...key].map((letter) => KEY_LETTERS.indexOf(letter))
  if (numbers.length !== 26 || numbers.includes(-1)) return null
  const check = numbers.pop()
  const sum = numbers.reduce((sum, number, place) => sum + number * (2 * place + 1), 0)
  return sum % 32 === check ? { kind: 'recovery-key', text: key } : null
}

/** Return what the QR code of a pairing code or of a printed recovery key holds. */
export function qrText(code: string, server: string): string {
  // React Native's URL does not know its host.
  const host = server.replace(/^https?:\/\//, '').replace(/(:443)?(\/.*)?$/, '')
  return `COUNTONME 1 ${code.replace(/-/g, '')} ${host}`.toUpperCase()
}

/**
 * Read a scanned QR code: `null` if it is not ours, `newer` if this version does not know its form.
 * `host` says of which server it is: compare it with your own.
 */
export function readQr(scanned: string): (Code & { host: string }) | 'newer' | null {
  const [ours, version, typed, host] = scanned.trim().split(/ +/)
  if (ours !== 'COUNTONME' || !version) return null
  if (version !== '1') return 'newer'
  const code = readCode(typed ?? '')
  return code && host ? { ...code, host: host.toLowerCase() } : null
}
