/** What the tests of the whole page share: a server that answers as a test says, and the page. */

import { afterEach, beforeEach, vi } from 'vitest'
import { App } from './App'
import { paths } from './server'
import type { Assessment, KnownUpload } from './server'
import { Session } from './session'
import { MiB } from '../core/testing/upload'
import { after, cleanUp, render } from './testing'

type Answer = { status?: number; json?: unknown; key?: string }

export const answers = new Map<string, Answer>()
export const asked: { method: string; path: string; authorization: string | undefined }[] = []

beforeEach(() => {
  answers.clear()
  asked.length = 0
  list({ json: { uploads: [] } })
  vi.stubGlobal('fetch', async (address: string, init: RequestInit) => {
    const path = address.replace('http://here/api', '')
    const authorization = (init.headers as Record<string, string>).Authorization
    asked.push({ method: init.method!, path, authorization })
    const found = answers.get(`${init.method} ${path}`) ?? { status: 404 }
    if (found.key !== undefined && authorization !== `Bearer ${found.key}`) {
      const problem = { code: 'unauthorized', detail: 'Nobody we know.', hint: 'Log in.' }
      return new Response(JSON.stringify(problem), { status: 401 })
    }
    return new Response(JSON.stringify(found.json ?? {}), { status: found.status ?? 200 })
  })
})

afterEach(async () => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
  sessionStorage.clear()
  await cleanUp()
})

/** What the server lists, as one page. */
export function list({ json, ...more }: { json?: { uploads: KnownUpload[] } } & Omit<Answer, 'json'>): void {
  for (const path of [paths.unfinished, paths.newestFinished]) {
    answers.set(`GET ${path}`, json ? { json: { ...json, next: null }, ...more } : more)
  }
}

export const open = (asksForKey = true, ticket: string | null = null) =>
  render(<App session={new Session({ api: 'http://here/api', asksForKey, ticket })} />)

export async function choose(page: HTMLElement, files: File[], label = 'Files'): Promise<void> {
  const input = page.querySelector<HTMLInputElement>(`input[aria-label="${label}"]`)!
  Object.defineProperty(input, 'files', { value: files, configurable: true })
  await after(() => input.dispatchEvent(new Event('change', { bubbles: true })))
}

export const cards = (page: HTMLElement) => [...page.querySelectorAll<HTMLElement>('article')]

export function known(more: Partial<KnownUpload> = {}): KnownUpload {
  return {
    upload_id: 'known',
    state: 'receiving',
    filename: 'talk.mp4',
    size: 20 * MiB,
    received_bytes: 8 * MiB,
    received: [[0, 8 * MiB]],
    assessment_id: null,
    expires_at: '2026-11-24T15:00:00Z',
    deleted_at: null,
    ...more,
  }
}

export function assessment(more: Partial<Assessment>): Assessment {
  return {
    assessment_id: 'a1',
    upload_id: 'u1',
    state: 'queued',
    steps: [],
    report: null,
    problem: null,
    ...more,
  }
}

export async function type(field: HTMLInputElement, words: string): Promise<void> {
  const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!
  await after(() => {
    setter.call(field, words)
    field.dispatchEvent(new Event('input', { bubbles: true }))
  })
}
