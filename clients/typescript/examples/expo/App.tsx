// A diary of one screen: today's meals, one more, and what becomes of them.
import { useCallback, useEffect, useState } from 'react'
import { AppState, Button, FlatList, SafeAreaView, Text, TextInput } from 'react-native'
import { Q } from '@nozbe/watermelondb'
import { FoodEntry, synchronize, type Rejected } from 'countonme-client/watermelondb'

import { client, database } from './diary'

const entries = database.get<FoodEntry>('food_entries')
const today = () => new Date().toLocaleDateString('sv')

export default function App() {
  const [meals, setMeals] = useState<FoodEntry[]>([])
  const [name, setName] = useState('')
  const [kcal, setKcal] = useState('')
  const [code, setCode] = useState('')
  const [rejected, setRejected] = useState<Rejected>({})
  const [message, setMessage] = useState('')
  const [isSignedOut, setSignedOut] = useState(false)

  const sync = useCallback(async () => {
    const { data, error } = await synchronize(database, client)
    if (data) {
      setRejected(data.rejected)
      setMessage('')
      setSignedOut(false)
      return
    }
    switch (error.kind) {
      case 'no-answer': // The next sync goes on.
        return setMessage('Offline')
      case 'try-later':
        setTimeout(sync, error.retryAfter * 1000)
        return
      case 'signed-out': // Show nothing of the diary: somebody else may hold the phone.
      case 'other-device':
        return setSignedOut(true)
      default: // 'bug', 'conflict' after five times, 'invalid', 'not-found': report it.
        return setMessage(error.detail)
    }
  }, [])

  useEffect(() => {
    const seen = entries.query(Q.where('date', today())).observe().subscribe(setMeals)
    const state = AppState.addEventListener('change', (is) => void (is === 'active' && sync()))
    void sync()
    return () => {
      seen.unsubscribe()
      state.remove()
    }
  }, [sync])

  async function log() {
    await database.write(() =>
      entries.create((entry) => {
        entry.name = name
        entry.kcal = Number(kcal)
        entry.unit = 'g'
        entry.date = today()
        entry.mealType = 'snacks'
      }),
    )
    await sync()
  }

  async function pair() {
    const { error } = await client.pair(code)
    if (error?.kind === 'not-found') return setMessage('This code is wrong or too old.')
    if (error) return setMessage(error.detail)
    await sync()
  }

  async function beginAnew() {
    await database.write(() => database.unsafeResetDatabase())
    await client.forget()
    await sync()
  }

  if (isSignedOut) {
    return (
      <SafeAreaView>
        <Text>This phone is signed out.</Text>
        <TextInput placeholder="Code of another phone, or recovery key" onChangeText={setCode} />
        <Button title="Sign in again" onPress={pair} />
        <Button title="Begin a new diary" onPress={beginAnew} />
        <Text>{message}</Text>
      </SafeAreaView>
    )
  }
  return (
    <SafeAreaView>
      <TextInput placeholder="Food" value={name} onChangeText={setName} />
      <TextInput placeholder="kcal" value={kcal} onChangeText={setKcal} inputMode="decimal" />
      <Button title="Eat" onPress={log} />
      <FlatList
        data={meals}
        keyExtractor={({ id }) => id}
        renderItem={({ item }) => (
          <Text>
            {item.name}: {item.kcal} kcal {rejected.food_entries?.[item.id]}
          </Text>
        )}
      />
      <Text>{message}</Text>
    </SafeAreaView>
  )
}
