/** Links by which somebody without a login uploads into the user's space. */

import { useEffect, useState } from 'preact/compat'
import { t } from './language'
import { MadeLink } from './MadeLink'
import { paths } from './server'
import type { Ticket } from './server'
import { guestLink, Refusal } from './session'
import type { Session } from './session'
import { TicketList } from './TicketList'

interface Props {
  session: Session
  announce(sentence: string): void
}

const GiB = 1024 ** 3
const DAY = 24 * 3600

export function GuestLinks({ session, announce }: Props) {
  const [tickets, setTickets] = useState<Ticket[]>([])
  const [problem, setProblem] = useState<string | null>(null)
  const load = async () => {
    const found = await session.json<{ tickets: Ticket[] }>(paths.tickets)
    setTickets(found.tickets.filter(({ state, shows }) => state !== 'revoked' && !shows))
    setProblem(null)
  }
  /** Whether it was done. */
  const attempt = async (what: () => Promise<void>): Promise<boolean> => {
    try {
      await what()
      return true
    } catch (error) {
      setProblem(error instanceof Refusal ? error.message : t.guests.unreachable)
      return false
    }
  }
  useEffect(() => void attempt(load), [session])
  const revoke = async ({ ticket_id, note }: Ticket) => {
    await attempt(async () => {
      await session.delete(paths.ticket(ticket_id))
      announce(t.guests.wasRevoked(note))
      await load()
    })
  }
  return (
    <section className="card guests" aria-labelledby="guests-title" tabIndex={-1}>
      <h2 id="guests-title">{t.guests.title}</h2>
      <p className="quiet">{t.guests.about}</p>
      {problem !== null && <p role="alert">{problem}</p>}
      <NewLink session={session} attempt={attempt} onMade={() => void attempt(load)} />
      <TicketList tickets={tickets} stateOf={stateOf} onRevoke={(ticket) => void revoke(ticket)} />
    </section>
  )
}

function stateOf({ state, uploads, used, expires_at }: Ticket): string {
  const files = t.guests.used(used, uploads)
  if (state === 'expired') return `${files} · ${t.guests.ended}`
  return state === 'used-up' ? files : `${files} · ${t.guests.until(t.write.date(new Date(expires_at)))}`
}

interface NewLinkProps {
  session: Session
  attempt(what: () => Promise<void>): Promise<boolean>
  onMade(): void
}

function NewLink({ session, attempt, onMade }: NewLinkProps) {
  const [link, setLink] = useState<string | null>(null)
  const make = async (form: HTMLFormElement) => {
    const value = (name: string) => (form.elements.namedItem(name) as HTMLInputElement).value
    const largest = value('largest')
    const wanted = {
      note: value('note').trim(),
      uploads: Number(value('files')),
      expires_in: Number(value('days')) * DAY,
      max_size: largest === '' ? null : Math.round(Number(largest) * GiB),
    }
    const isMade = await attempt(async () => {
      const { ticket } = await session.post<{ ticket: string }>(paths.newTicket, wanted)
      setLink(guestLink(location.href, ticket))
    })
    if (!isMade) return
    form.reset()
    onMade()
  }
  return (
    <>
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
          {t.guests.files} <input name="files" type="number" min="1" max="100000" defaultValue="1" required />
        </label>
        <label>
          {t.guests.days} <input name="days" type="number" min="1" max="366" defaultValue="7" required />
        </label>
        <label>
          {t.guests.largest} <input name="largest" type="number" min="0.001" step="any" />
        </label>
        <button type="submit">{t.guests.make}</button>
      </form>
      {link !== null && <MadeLink key={link} link={link} />}
    </>
  )
}
