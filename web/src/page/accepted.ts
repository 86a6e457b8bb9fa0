/**
 * Which files the server accepts: told before one is chosen, and checked before one is sent.
 *
 * Rule 1: a check here saves the user an upload in vain. The server checks every file anyway; what
 * this page does not know, it lets pass.
 */

import { useEffect, useState } from 'preact/compat'
import { t } from './language'
import { nameProblem } from './names'
import { paths } from './server'
import { Refusal } from './session'
import type { Session } from './session'
import { useAccess } from './useAccess'
import { size, tooLarge } from './words'
import type { Trouble } from './words'

export interface FileLimits {
  /** In bytes; null is no limit. */
  max_size: number | null
  /** Media types, like `video/*`; none: any. */
  allowed_types: string[]
}

export interface Accepted extends FileLimits {
  /** Whether this user can make links for guests. */
  guests: boolean
  /** Whether this user is known to be an operator. */
  operator: boolean
  /** Whether there are receipts for uploads. */
  receipts: boolean
  /** Whether this user can make links that show a report, and whether they may show the file. */
  shared_reports: boolean
  shared_files: boolean
  /**
   * What a guest's ticket still allows: how many more files, and until when they may begin; or until
   * when a report is shown, and whether its file is.
   */
  ticket: { uploads: number; expires_at: string; with_file?: boolean } | null
}

export type Sharing = Pick<Accepted, 'shared_reports' | 'shared_files'>

export const ANYTHING: Accepted = {
  max_size: null,
  allowed_types: [],
  guests: false,
  operator: false,
  receipts: false,
  shared_reports: false,
  shared_files: false,
  ticket: null,
}

interface Told {
  /** `ANYTHING` until the server has answered. */
  accepted: Accepted
  /** Why this user may upload nothing; null while the server has not said so. */
  refusal: Refusal | null
}

/** For guests it is asked again whenever `isMoving` changes: each file uses their ticket. */
export function useAccepted(session: Session, isMoving: boolean): Told {
  const { round } = useAccess(session)
  const [told, setTold] = useState<Told>({ accepted: ANYTHING, refusal: null })
  useEffect(() => {
    const ending = new AbortController()
    session.json<Partial<Accepted>>(paths.accepted, ending.signal).then(
      // A server of an earlier version says less.
      (accepted) => setTold({ accepted: { ...ANYTHING, ...accepted }, refusal: null }),
      (error: unknown) => {
        if (error instanceof Refusal && error.status === 403) {
          setTold({ accepted: ANYTHING, refusal: error })
        }
      },
    )
    return () => ending.abort()
  }, [session, round, session.isGuest && isMoving])
  return told
}

/** Why a file is not sent; null if nothing speaks against it. */
export function refusalOf(
  file: Pick<File, 'name' | 'size' | 'type'>,
  { max_size, allowed_types }: FileLimits,
): Trouble | null {
  const { safe } = t.refusal
  const name = nameProblem(file.name)
  if (name !== null) {
    return { what: t.refusal.name(name), safe, next: t.refusal.nameNext, isFinal: true }
  }
  if (max_size !== null && file.size > max_size) return { ...tooLarge(max_size), safe }
  if (file.type === '' || takesType(file.type, { allowed_types })) return null
  return {
    what: t.refusal.type(file.type),
    safe,
    next: t.refusal.typeNext(listed(allowed_types)),
    isFinal: false,
  }
}

/** Whether files of this media type are accepted, as far as this page knows. */
export function takesType(type: string, { allowed_types }: Pick<FileLimits, 'allowed_types'>): boolean {
  return allowed_types.length === 0 || allowed_types.some((allowed) => isOfType(type, allowed))
}

/** `Accepted: videos, audio/flac. At most 2 GiB for each file.`; empty if all is accepted. */
export function acceptedSentence({ max_size, allowed_types }: FileLimits): string {
  const types = allowed_types.length > 0 ? t.choose.accepted(listed(allowed_types)) : ''
  const limit = max_size === null ? '' : t.choose.atMost(size(max_size))
  return [types, limit].filter(Boolean).join(' ')
}

/** For the browser's file dialog; undefined for any type. */
export function acceptOf({ allowed_types }: FileLimits): string | undefined {
  const isPlain = (type: string) => /^[\w.+-]+\/([\w.+-]+|\*)$/.test(type)
  return allowed_types.length > 0 && allowed_types.every(isPlain) ? allowed_types.join(',') : undefined
}

function listed(types: readonly string[]): string {
  const { videos, audio, images } = t.choose
  const kinds: Record<string, string> = { 'video/*': videos, 'audio/*': audio, 'image/*': images }
  return types.map((type) => kinds[type] ?? type).join(', ')
}

/** By the patterns of the server. Browsers name some types with `x-`, and some without. */
function isOfType(type: string, allowed: string): boolean {
  if (/[[\]]/.test(allowed)) return true // A set of characters: the server knows.
  const plain = (text: string) => text.replace('/x-', '/')
  const escaped = plain(allowed).replace(/[.+^${}()|\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(plain(type))
}
