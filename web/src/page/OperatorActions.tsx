/** What operators can do that is about no row of a table: find an upload by its id, and clean up. */

import { useState } from 'preact/compat'
import { KeepFocus } from './Buttons'
import { ConfirmDelete } from './ConfirmDelete'
import type { ActingProps } from './OperatorTables'
import { OperatorsUploadView } from './OperatorsUploadView'
import { shownName } from './names'
import { o } from './operatorWords'
import { paths } from './server'
import type { OperatorsUpload, Overview } from './server'
import { Refusal } from './session'
import { size } from './words'

export function OperatorActions({ overview, ...acting }: ActingProps & { overview: Overview }) {
  return (
    <>
      <Find {...acting} overview={overview} />
      <Sweep {...acting} />
    </>
  )
}

const said = (error: unknown) =>
  error instanceof Refusal ? `${error.message} ${error.hint}`.trim() : o.unreachable

function Find({ overview, ...acting }: ActingProps & { overview: Overview }) {
  const [found, setFound] = useState<OperatorsUpload | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const look = async (id: string) => {
    setProblem(null)
    setFound(null)
    try {
      setFound(await acting.session.json<OperatorsUpload>(paths.anybodys(id)))
    } catch (error) {
      const isUnknown = error instanceof Refusal && [400, 404].includes(error.status)
      setProblem(isUnknown ? o.notFound : said(error))
    }
  }
  return (
    <section className="card" aria-labelledby="find-title">
      <h3 id="find-title">{o.find}</h3>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          const field = event.currentTarget.elements.namedItem('id') as HTMLInputElement
          void look(field.value.trim())
        }}
      >
        <label>
          {o.id} <input name="id" required autoComplete="off" spellcheck={false} dir="ltr" />
        </label>
        <button type="submit">{o.search}</button>
      </form>
      {problem !== null && <p role="alert">{problem}</p>}
      {found !== null && (
        <article aria-label={shownName(found.filename)}>
          <h4>
            <bdi>{shownName(found.filename)}</bdi>
          </h4>
          <p>
            {o.states[found.state]}, <bdi>{shownName(found.owner)}</bdi>
          </p>
          <OperatorsUploadView
            {...acting}
            {...{ upload: found, overview }}
            refresh={() => {
              void look(found.upload_id)
              acting.refresh()
            }}
          />
        </article>
      )}
    </section>
  )
}

interface Swept {
  count: number
  bytes: number
}

function Sweep({ session, announce, refresh }: ActingProps) {
  const [due, setDue] = useState<Swept | null>(null)
  const [result, setResult] = useState('')
  const sweep = async (dry_run: boolean) => {
    try {
      const swept = await session.post<Swept>(paths.sweep, { dry_run })
      if (dry_run && swept.count > 0) {
        setResult('')
        setDue(swept)
        return
      }
      setDue(null)
      tell(dry_run ? o.sweepNothing : o.swept(swept.count, size(swept.bytes)))
      if (!dry_run) refresh()
    } catch (error) {
      setDue(null)
      tell(said(error))
    }
  }
  const tell = (sentence: string) => {
    setResult(sentence)
    announce(sentence)
  }
  return (
    <section className="card" aria-labelledby="sweep-title" tabIndex={-1}>
      <h3 id="sweep-title">{o.sweep}</h3>
      <p className="quiet">{o.sweepAbout}</p>
      <KeepFocus>
        {due !== null ? (
          <ConfirmDelete
            question={o.sweepThis(due.count, size(due.bytes))}
            keep={o.keepAll}
            filename={o.sweep}
            onKeep={() => setDue(null)}
            onDelete={() => void sweep(false)}
          />
        ) : (
          <>
            {result !== '' && <p>{result}</p>}
            <div className="buttons">
              <button type="button" onClick={() => void sweep(true)}>
                {o.sweepNow}
              </button>
            </div>
          </>
        )}
      </KeepFocus>
    </section>
  )
}
