// The token in a browser. Tabs see what IndexedDB has written; localStorage may lag behind in one.
import type { TokenStore } from 'countonme-client'

const opened = new Promise<IDBDatabase>((resolve, reject) => {
  const request = indexedDB.open('countonme', 1)
  request.onupgradeneeded = () => request.result.createObjectStore('kept')
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
})

async function within<T>(mode: IDBTransactionMode, ask: (kept: IDBObjectStore) => IDBRequest<T>) {
  const transaction = (await opened).transaction('kept', mode)
  const request = ask(transaction.objectStore('kept'))
  return new Promise<T>((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result)
    transaction.onabort = () => reject(transaction.error)
  })
}

export const indexedDbStore: TokenStore = {
  get: async () => (await within<string | undefined>('readonly', (kept) => kept.get('token'))) ?? null,
  set: async (text) => void (await within('readwrite', (kept) => kept.put(text, 'token'))),
  remove: async () => void (await within('readwrite', (kept) => kept.delete('token'))),
}
