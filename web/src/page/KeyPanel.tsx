/** Asks for a key, a login or another link. Renders nothing while nothing is missing. */

import { useEffect, useRef, useState } from 'preact/compat'
import { t } from './language'
import type { Session } from './session'
import { useAccess } from './useAccess'

export function KeyPanel({ session }: { session: Session }) {
  const { isWanted, wasRefused } = useAccess(session)
  if (!isWanted) return null
  if (session.isGuest) {
    return (
      <section className="card key" role="alert" aria-labelledby="link-title">
        <h2 id="link-title">{t.key.linkInvalid}</h2>
        <p>{t.key.linkInvalidNext}</p>
      </section>
    )
  }
  return session.place.asksForKey ? (
    <AskForKey session={session} wasRefused={wasRefused} />
  ) : (
    <section className="card key" role="alert" aria-labelledby="login-title">
      <h2 id="login-title">{t.key.loggedOut}</h2>
      <p>{t.key.loggedOutNext}</p>
      <div className="buttons">
        <button type="button" className="primary" onClick={() => session.tryAgain()}>
          {t.key.goOn}
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
      <h2 id="key-title">{wasRefused ? t.key.invalid : t.key.wanted}</h2>
      <p id="key-reason">{wasRefused ? t.key.invalidNext : t.key.wantedNext}</p>
      <label htmlFor="key">{t.key.key}</label>
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
        {t.key.remember}
      </label>
      <div className="buttons">
        <button type="submit" className="primary">
          {t.key.use}
        </button>
      </div>
    </form>
  )
}
