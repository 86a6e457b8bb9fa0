/** Links that show one report to people without a login: made, listed, revoked. */

import { useEffect, useState } from 'preact/compat'
import { t } from './language'
import { MadeLink } from './MadeLink'
import { paths } from './server'
import type { Ticket } from './server'
import { Refusal, reportLink } from './session'
import type { Session } from './session'
import { TicketList } from './TicketList'

const DAY = 24 * 3600

interface Props {
  session: Session
  uploadId: string
  assessmentId: string
  /** Whether a link may show the file, too. */
  withFiles: boolean
}

export function ShareReport(props: Props) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details className="share" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t.share.title}</summary>
      {isOpen && <Links {...props} />}
    </details>
  )
}

function Links({ session, uploadId, assessmentId, withFiles }: Props) {
  const [tickets, setTickets] = useState<Ticket[]>([])
  const [link, setLink] = useState<string | null>(null)
  const [said, setSaid] = useState('')
  const [problem, setProblem] = useState<string | null>(null)
  const load = async () => {
    const found = await session.json<{ tickets: Ticket[] }>(paths.tickets)
    setTickets(found.tickets.filter(({ shows, state }) => shows === uploadId && state === 'valid'))
    setProblem(null)
  }
  const attempt = async (what: () => Promise<void>) => {
    try {
      await what()
      await load()
    } catch (error) {
      setProblem(error instanceof Refusal ? error.message : t.guests.unreachable)
    }
  }
  useEffect(() => void attempt(async () => undefined), [session, uploadId])
  const make = (form: HTMLFormElement) => {
    const field = (name: string) => form.elements.namedItem(name) as HTMLInputElement | null
    const wanted = {
      note: field('note')!.value.trim(),
      expires_in: Number(field('days')!.value) * DAY,
      with_file: field('file')?.checked ?? false,
    }
    return attempt(async () => {
      const { ticket } = await session.post<{ ticket: string }>(paths.links(uploadId), wanted)
      setLink(reportLink(location.href, ticket, assessmentId))
      form.reset()
    })
  }
  const revoke = ({ ticket_id, note }: Ticket) =>
    attempt(async () => {
      await session.delete(paths.ticket(ticket_id))
      setLink(null)
      setSaid(t.guests.wasRevoked(note))
    })
  return (
    <div className="guests" tabIndex={-1}>
      <p className="quiet">{t.share.about}</p>
      {problem !== null && <p role="alert">{problem}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void make(event.currentTarget)
        }}
      >
        <label>
          {t.guests.forWhom} <input name="note" maxLength={255} autoComplete="off" />
        </label>
        <label>
          {t.guests.days} <input name="days" type="number" min="1" max="366" defaultValue="7" required />
        </label>
        {withFiles && (
          <label className="tick">
            <input name="file" type="checkbox" /> {t.share.withFile}
          </label>
        )}
        <button type="submit">{t.guests.make}</button>
      </form>
      {link !== null && <MadeLink key={link} link={link} />}
      <TicketList tickets={tickets} stateOf={stateOf} onRevoke={(ticket) => void revoke(ticket)} />
      <p className="unseen" role="status">
        {said}
      </p>
    </div>
  )
}

function stateOf({ expires_at, with_file }: Ticket): string {
  const until = t.guests.until(t.write.date(new Date(expires_at)))
  return with_file ? `${t.share.showsFile} · ${until}` : until
}
