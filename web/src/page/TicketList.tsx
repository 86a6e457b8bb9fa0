import { KeepFocus } from './Buttons'
import { t } from './language'
import type { Ticket } from './server'

interface Props {
  tickets: readonly Ticket[]
  /** What the ticket allows, and until when. */
  stateOf(ticket: Ticket): string
  onRevoke(ticket: Ticket): void
}

export function TicketList({ tickets, stateOf, onRevoke }: Props) {
  return (
    <KeepFocus>
      <ul className="tickets">
        {tickets.map((ticket) => (
          <li key={ticket.ticket_id}>
            <bdi>{ticket.note || t.guests.noNote}</bdi>
            <span className="quiet">{stateOf(ticket)}</span>
            <button type="button" onClick={() => onRevoke(ticket)}>
              {t.guests.revoke}
              <span className="unseen"> {t.guests.aLink(ticket.note)}</span>
            </button>
          </li>
        ))}
      </ul>
    </KeepFocus>
  )
}
