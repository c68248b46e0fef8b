const last = new Map<string, Promise<unknown>>()

/**
 * Run the work of one holder of a name at a time: over all tabs of a browser where there are Web
 * Locks, else in this process.
 */
export function locked<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks
  if (locks) return locks.request(name, work) as Promise<T>
  const before = last.get(name) ?? Promise.resolve()
  const mine = before.then(work, work)
  last.set(name, mine)
  return mine
}
