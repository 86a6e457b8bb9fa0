/** Tells a guest what the link allows. */

import type { Accepted } from './accepted'
import { t } from './language'
import type { Refusal } from './session'

interface Props {
  ticket: Accepted['ticket']
  refusal: Refusal | null
}

export function GuestNotice({ ticket, refusal }: Props) {
  if (refusal !== null) {
    return (
      <div className="card trouble" role="alert">
        <p>
          <strong>{refusal.code === 'ticket-revoked' ? t.guests.revoked : refusal.message}</strong>
        </p>
        <p>{t.guests.askSender}</p>
      </div>
    )
  }
  if (ticket === null) return null
  return <p className="notice">{sentence(ticket)}</p>
}

function sentence({ uploads, expires_at }: NonNullable<Accepted['ticket']>): string {
  const ends = new Date(expires_at)
  if (ends <= new Date()) return t.guests.expired
  return uploads > 0 ? t.guests.youCan(uploads, t.write.date(ends)) : t.guests.usedUp
}
