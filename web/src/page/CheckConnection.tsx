/** Finds out, on request, what lies between this browser and the server. Little is loaded before. */

import { useEffect, useRef, useState } from 'preact/compat'
import type { Examination } from './Examination'
import type { Session } from './session'

interface Props {
  session: Session
  announce(sentence: string): void
}

export function CheckConnection(props: Props) {
  const [View, setView] = useState<typeof Examination | null>(null)
  const [state, setState] = useState<'closed' | 'loading' | 'failed' | 'open'>('closed')
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (state === 'open') heading.current?.focus() // the button that was pressed is gone
  }, [state])
  const open = async () => {
    setState('loading')
    try {
      const { Examination } = await import('./Examination')
      setView(() => Examination)
      setState('open')
    } catch {
      setState('failed')
    }
  }
  return (
    <section className="card check" aria-labelledby="check-title">
      <h2 id="check-title" ref={heading} tabIndex={-1}>
        Check the connection
      </h2>
      {View !== null ? (
        <View {...props} focus={() => heading.current?.focus()} />
      ) : (
        <>
          <p className="quiet">
            Measures how large a request may be on the way to the server, what refuses larger ones,
            and what its operator should change. This takes up to 30 seconds and sends at most 32
            MiB. Nothing is stored.
          </p>
          {state === 'failed' && (
            <p role="alert">The check could not be loaded. Nothing was sent. Try again.</p>
          )}
          <div className="buttons">
            <button type="button" aria-disabled={state === 'loading'} onClick={() => void open()}>
              Start the check
            </button>
          </div>
        </>
      )}
    </section>
  )
}
