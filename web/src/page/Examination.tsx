/** An examination of the path while it runs, and its report. */

import { useEffect, useRef, useState } from 'preact/compat'
import { examine, MOST_BYTES } from './examination'
import { t } from './language'
import { PathReportView } from './PathReportView'
import type { Examined } from './server'
import { Refusal } from './session'
import type { Session } from './session'
import { size } from './words'

interface Props {
  session: Session
  announce(sentence: string): void
  /** Moves the focus to the heading above. */
  focus(): void
}

type State =
  | { is: 'running'; doing: string; sent: number }
  | { is: 'stopped' }
  | { is: 'failed'; problem: string }
  | { is: 'done'; found: Examined }

const asking = (): State => ({ is: 'running', doing: t.check.asking, sent: 0 })

export function Examination({ session, announce, focus }: Props) {
  const [state, setState] = useState<State>(asking)
  const running = useRef<AbortController>(null)

  const start = async () => {
    const ending = new AbortController()
    running.current = ending
    setState(asking)
    try {
      const found = await examine(session, ending.signal, ({ size: bytes, drip }, sent) => {
        const doing = drip > 0 ? t.check.slowAnswer : t.check.sending(size(bytes))
        setState({ is: 'running', doing, sent })
      })
      setState({ is: 'done', found })
      announce(t.check.done(t.check.verdicts[found.report!.verdict]![1]))
    } catch (error) {
      if (running.current !== ending) return
      setState(ending.signal.aborted ? { is: 'stopped' } : { is: 'failed', problem: problemOf(error) })
    }
  }

  useEffect(() => {
    void start()
    return () => {
      const { current } = running
      running.current = null
      current?.abort()
    }
  }, [session])

  useEffect(() => {
    if (document.activeElement === document.body) focus() // the button that was pressed is gone
  }, [state.is])

  switch (state.is) {
    case 'running':
      return (
        <>
          <p>{state.doing}</p>
          <progress
            aria-label={t.check.sent}
            max={MOST_BYTES}
            value={state.sent}
          />
          <div className="buttons">
            <button key="stop" type="button" onClick={() => running.current?.abort()}>
              {t.check.stop}
            </button>
          </div>
        </>
      )
    case 'done':
      return <PathReportView found={state.found} again={() => void start()} announce={announce} />
    default:
      return (
        <>
          {state.is === 'stopped' ? (
            <p>{t.check.stopped}</p>
          ) : (
            <div className="trouble" role="alert">
              <p>
                <strong>{t.check.notFinished}</strong> {state.problem}
              </p>
              <p>{t.check.unaffected}</p>
            </div>
          )}
          <div className="buttons">
            <button key="again" type="button" onClick={() => void start()}>
              {t.check.again}
            </button>
          </div>
        </>
      )
  }
}

function problemOf(error: unknown): string {
  if (error instanceof Refusal) {
    return error.status === 401
      ? t.check.wantsKey
      : `${error.message} ${error.hint}`.trim()
  }
  if (error instanceof RangeError) return error.message
  return t.check.unreachable
}
