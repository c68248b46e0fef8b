// The token in the system's key store, for this phone alone.
import * as SecureStore from 'expo-secure-store'
import type { TokenStore } from 'countonme-client'

const KEY = 'countonme'
// In no backup, and readable when a sync runs while the phone is locked.
const options = { keychainAccessible: SecureStore.AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY }

export const secureStore: TokenStore = {
  get: () => SecureStore.getItemAsync(KEY, options),
  set: (text) => SecureStore.setItemAsync(KEY, text, options),
  remove: () => SecureStore.deleteItemAsync(KEY, options),
}
