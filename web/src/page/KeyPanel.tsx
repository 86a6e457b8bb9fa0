/** Asks for a key, a login or another link. Renders nothing while nothing is missing. */

import { useEffect, useRef, useState } from 'preact/compat'
import type { Session } from './session'
import { useAccess } from './useAccess'

export function KeyPanel({ session }: { session: Session }) {
  const { isWanted, wasRefused } = useAccess(session)
  if (!isWanted) return null
  if (session.isGuest) {
    return (
      <section className="card key" role="alert" aria-labelledby="link-title">
        <h2 id="link-title">This link is not valid</h2>
        <p>
          It is incomplete, or was deleted. What has arrived is safe. Open the whole link that you
          were sent, or ask its sender for a new one.
        </p>
      </section>
    )
  }
  return session.place.asksForKey ? (
    <AskForKey session={session} wasRefused={wasRefused} />
  ) : (
    <section className="card key" role="alert" aria-labelledby="login-title">
      <h2 id="login-title">You are not logged in</h2>
      <p>Log in, for example in another tab, then continue here. What has arrived is safe.</p>
      <div className="buttons">
        <button type="button" className="primary" onClick={() => session.tryAgain()}>
          Continue
        </button>
      </div>
    </section>
  )
}

function AskForKey({ session, wasRefused }: { session: Session; wasRefused: boolean }) {
  const [key, setKey] = useState('')
  const [keep, setKeep] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => field.current?.focus(), [])
  return (
    <form
      className="card key"
      aria-labelledby="key-title"
      onSubmit={(event) => {
        event.preventDefault()
        if (key.trim()) session.giveKey(key.trim(), keep)
      }}
    >
      <h2 id="key-title">{wasRefused ? 'This key is not valid' : 'This server requires a key'}</h2>
      <p id="key-reason">
        {wasRefused
          ? 'The server does not accept this key. What has arrived is safe. Enter a valid key to continue.'
          : 'The operator of the server can give you one.'}
      </p>
      <label htmlFor="key">Key</label>
      <input
        id="key"
        ref={field}
        aria-describedby="key-reason"
        type="password"
        autoComplete="off"
        spellcheck={false}
        required
        value={key}
        onInput={(event) => setKey(event.currentTarget.value)}
      />
      <label className="tick">
        <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />
        Remember the key until this tab is closed
      </label>
      <div className="buttons">
        <button type="submit" className="primary">
          Use this key
        </button>
      </div>
    </form>
  )
}
