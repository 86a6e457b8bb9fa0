/** Finds out, on request, what lies between this browser and the server. Little is loaded before. */

import { useEffect, useRef, useState } from 'preact/compat'
import type { Examination } from './Examination'
import { t } from './language'
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
        {t.check.title}
      </h2>
      {View !== null ? (
        <View {...props} focus={() => heading.current?.focus()} />
      ) : (
        <>
          <p className="quiet">{t.check.about}</p>
          {state === 'failed' && <p role="alert">{t.check.notLoaded}</p>}
          <div className="buttons">
            <button type="button" aria-disabled={state === 'loading'} onClick={() => void open()}>
              {t.check.start}
            </button>
          </div>
        </>
      )}
    </section>
  )
}
