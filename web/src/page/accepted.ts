/**
 * Which files the server accepts: told before one is chosen, and checked before one is sent.
 *
 * Rule 1: a check here saves the user an upload in vain. The server checks every file anyway; what
 * this page does not know, it lets pass.
 */

import { useEffect, useState } from 'preact/compat'
import { nameProblem } from './names'
import { paths } from './server'
import type { Session } from './session'
import { useAccess } from './useAccess'
import { size, tooLarge } from './words'
import type { Trouble } from './words'

export interface Accepted {
  /** In bytes; null is no limit. */
  max_size: number | null
  /** Media types, like `video/*`; none: any. */
  allowed_types: string[]
}

export const ANYTHING: Accepted = { max_size: null, allowed_types: [] }

/** `ANYTHING` until the server has answered. */
export function useAccepted(session: Session): Accepted {
  const { round } = useAccess(session)
  const [accepted, setAccepted] = useState(ANYTHING)
  useEffect(() => {
    const ending = new AbortController()
    session.json<Accepted>(paths.accepted, ending.signal).then(setAccepted, () => undefined)
    return () => ending.abort()
  }, [session, round])
  return accepted
}

/** Why a file is not sent; null if nothing speaks against it. */
export function refusalOf(file: File, { max_size, allowed_types }: Accepted): Trouble | null {
  const safe = 'Nothing was sent.'
  const name = nameProblem(file.name)
  if (name !== null) {
    const what = `The server does not accept the name of this file: ${name}.`
    return { what, safe, next: 'Rename the file, then choose it again.', isFinal: true }
  }
  if (max_size !== null && file.size > max_size) return { ...tooLarge(max_size), safe }
  if (allowed_types.length === 0 || file.type === '') return null
  if (allowed_types.some((allowed) => isOfType(file.type, allowed))) return null
  return {
    what: `This file seems to be of a type that the server does not accept (${file.type}).`,
    safe,
    next: `Accepted: ${listed(allowed_types)}. The content of the file decides. If its name is misleading, upload it anyway.`,
    isFinal: false,
  }
}

/** `Accepted: videos, audio/flac. At most 2 GiB for each file.`; empty if all is accepted. */
export function acceptedSentence({ max_size, allowed_types }: Accepted): string {
  const types = allowed_types.length > 0 ? `Accepted: ${listed(allowed_types)}.` : ''
  const limit = max_size === null ? '' : `At most ${size(max_size)} for each file.`
  return [types, limit].filter(Boolean).join(' ')
}

/** For the browser's file dialog; undefined for any type. */
export function acceptOf({ allowed_types }: Accepted): string | undefined {
  const isPlain = (type: string) => /^[\w.+-]+\/([\w.+-]+|\*)$/.test(type)
  return allowed_types.length > 0 && allowed_types.every(isPlain) ? allowed_types.join(',') : undefined
}

const KINDS: Record<string, string> = { 'video/*': 'videos', 'audio/*': 'audio files', 'image/*': 'images' }

function listed(types: readonly string[]): string {
  return types.map((type) => KINDS[type] ?? type).join(', ')
}

/** By the patterns of the server. Browsers name some types with `x-`, and some without. */
function isOfType(type: string, allowed: string): boolean {
  if (/[[\]]/.test(allowed)) return true // A set of characters: the server knows.
  const plain = (text: string) => text.replace('/x-', '/')
  const escaped = plain(allowed).replace(/[.+^${}()|\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(plain(type))
}
