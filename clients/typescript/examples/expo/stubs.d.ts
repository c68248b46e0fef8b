// What the examples use of Expo and React Native, so that their types are checked without these.
declare module 'expo-crypto' {
  export function randomUUID(): string
}

declare module 'expo-secure-store' {
  interface Options {
    keychainAccessible: number
  }
  export const AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY: number
  export function getItemAsync(key: string, options: Options): Promise<string | null>
  export function setItemAsync(key: string, value: string, options: Options): Promise<void>
  export function deleteItemAsync(key: string, options: Options): Promise<void>
}

declare module 'react-native' {
  import type { ComponentType, JSX, ReactNode } from 'react'

  interface Input {
    placeholder: string
    value?: string
    inputMode?: 'decimal'
    onChangeText: (text: string) => void
  }
  interface List<T> {
    data: T[]
    keyExtractor: (item: T) => string
    renderItem: (row: { item: T }) => JSX.Element
  }
  export const SafeAreaView: ComponentType<{ children: ReactNode }>
  export const Text: ComponentType<{ children: ReactNode }>
  export const TextInput: ComponentType<Input>
  export const Button: ComponentType<{ title: string; onPress: () => void }>
  export function FlatList<T>(list: List<T>): JSX.Element
  export const AppState: {
    addEventListener(event: 'change', listener: (state: string) => void): { remove(): void }
  }
}
