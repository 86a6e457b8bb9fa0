/** An examination of the path while it runs, and its report. */

import { useEffect, useRef, useState } from 'preact/compat'
import { examine, MOST_BYTES } from './examination'
import { PathReportView, VERDICTS } from './PathReportView'
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

const ASKING: State = { is: 'running', doing: 'Asking the server.', sent: 0 }

export function Examination({ session, announce, focus }: Props) {
  const [state, setState] = useState<State>(ASKING)
  const running = useRef<AbortController>(null)

  const start = async () => {
    const ending = new AbortController()
    running.current = ending
    setState(ASKING)
    try {
      const found = await examine(session, ending.signal, ({ size: bytes, drip }, sent) => {
        const doing = drip > 0 ? 'Waiting for a slow answer.' : `Sending ${size(bytes)}.`
        setState({ is: 'running', doing, sent })
      })
      setState({ is: 'done', found })
      announce(`The check is done. ${VERDICTS[found.report!.verdict].sentence}`)
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
            aria-label="Sent of the 32 MiB that the check may send"
            max={MOST_BYTES}
            value={state.sent}
          />
          <div className="buttons">
            <button type="button" onClick={() => running.current?.abort()}>
              Stop the check
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
            <p>The check was stopped. Nothing was stored.</p>
          ) : (
            <div className="trouble" role="alert">
              <p>
                <strong>The check could not be finished.</strong> {state.problem}
              </p>
              <p>Nothing was stored. Uploads are not affected.</p>
            </div>
          )}
          <div className="buttons">
            <button type="button" onClick={() => void start()}>
              Check again
            </button>
          </div>
        </>
      )
  }
}

function problemOf(error: unknown): string {
  if (error instanceof Refusal) {
    return error.status === 401
      ? 'The server requires a valid key. Enter it above, then check again.'
      : `${error.message} ${error.hint}`.trim()
  }
  if (error instanceof RangeError) return error.message
  return 'The server cannot be reached. Check again when the connection is back.'
}
