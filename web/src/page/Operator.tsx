/** What a server does at the moment, for its operator; and what the operator may do about it. */

import { useEffect, useRef } from 'preact/compat'
import { t } from './language'
import { OperatorActions } from './OperatorActions'
import { Ended, Paths, Queue, UploadsInFlight } from './OperatorTables'
import { o, speakOperator } from './operatorWords'
import type { Session } from './session'
import { useWatching } from './watching'
import type { Look, Speeds } from './watching'
import { duration, secondsBetween, size } from './words'

export { speakOperator }

interface Props {
  session: Session
  announce(sentence: string): void
}

export function Operator({ session, announce }: Props) {
  const { look, speeds, problem, refresh } = useWatching(session, t.app.unreachable)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    const { title } = document
    document.title = o.documentTitle
    heading.current?.focus()
    return () => {
      document.title = title
    }
  }, [])
  const props = { session, announce, refresh }
  return (
    <div className="operator">
      <h2 ref={heading} tabIndex={-1}>
        {o.title}
      </h2>
      {problem === 'not an operator' ? (
        <div className="card trouble" role="alert">
          <p>
            <strong>{o.refused}</strong>
          </p>
          <p>{o.refusedNext}</p>
        </div>
      ) : (
        problem !== null && (
          <p className="notice" role="alert">
            {problem.said} {look !== null && o.old} {o.oldNext}
          </p>
        )
      )}
      {look !== null && problem !== 'not an operator' && (
        <>
          <Now {...{ look, speeds }} />
          <UploadsInFlight {...props} {...{ look, speeds }} />
          <Queue {...props} look={look} />
          <Ended {...props} look={look} />
          <Paths paths={look.overview.paths} />
          <OperatorActions {...props} overview={look.overview} />
        </>
      )}
    </div>
  )
}

function Now({ look, speeds }: { look: Look; speeds: Speeds }) {
  const { overview } = look
  const { storage, assessments, worker, max_open: most } = overview
  const open = t.write.number(storage.uploads)
  const speed = speeds.ofAll()
  const facts: [string, string][] = [
    [o.open, most === null ? open : t.ofTotal(open, t.write.number(most))],
    [o.queue, queueOf(look)],
    [o.speed, speed === null ? o.notKnown : t.perSecond(size(Math.round(speed)))],
    [o.storage, o.space(size(storage.used), size(storage.reserved))],
  ]
  if (worker !== null) {
    const { running, queued, failed } = assessments
    facts.push([o.assessments, o.assessed(running, queued, failed)])
  }
  return (
    <section className="card" aria-labelledby="now-title">
      <h3 id="now-title">{o.now}</h3>
      {overview.problems.map((sentence) => (
        <p className="trouble" key={sentence}>
          {sentence}
        </p>
      ))}
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Space storage={storage} />
      <p className="quiet">
        {o.updated(t.write.exact(new Date(overview.at)), overview.version)}
      </p>
    </section>
  )
}

function queueOf({ overview }: Look): string {
  const { storage, waiting_since: since } = overview
  return since === null ? o.empty : o.first(storage.waiting, duration(secondsBetween(since, overview.at)))
}

/** How much of the volume is taken; nothing for an object store, which has no end. */
function Space({ storage: { total, free, reserved } }: { storage: Look['overview']['storage'] }) {
  if (total === null || free === null) return null
  const taken = Math.min(total - free + reserved, total)
  return (
    <div>
      <progress
        aria-label={o.share(Math.round((100 * taken) / total))}
        max={total}
        value={taken}
      />
      <p className="quiet">{o.free(size(free), size(total))}</p>
    </div>
  )
}
