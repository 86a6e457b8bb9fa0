/** Tells a guest what the link allows. */

import type { Accepted } from './accepted'
import type { Refusal } from './session'
import { date, plural } from './words'

interface Props {
  ticket: Accepted['ticket']
  refusal: Refusal | null
}

export function GuestNotice({ ticket, refusal }: Props) {
  if (refusal !== null) {
    return (
      <div className="card trouble" role="alert">
        <p>
          <strong>{refusal.code === 'ticket-revoked' ? 'This link was revoked.' : refusal.message}</strong>
        </p>
        <p>Ask its sender for a new one.</p>
      </div>
    )
  }
  if (ticket === null) return null
  return <p className="notice">{sentence(ticket)}</p>
}

function sentence({ uploads, expires_at }: NonNullable<Accepted['ticket']>): string {
  const ends = new Date(expires_at)
  if (ends <= new Date()) {
    return 'This link has expired. What was begun can be finished. Ask its sender for a new one.'
  }
  return uploads > 0
    ? `You can upload ${plural(uploads, 'file')} with this link, until ${date(ends)}.`
    : 'All files that this link allows have arrived or are on their way.'
}
