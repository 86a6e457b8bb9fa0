/** The decisions of the client, as the vectors say them: see tests/vectors/README.md. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { checkNotGone, isBrought, parseError, parseMissing, parseUpload, refusedBy } from './answers'
import { wantsFreshHeaders, whatNext, type Next, type Verb } from './decisions'
import { DirectWay, type StoreFailure } from './direct'
import { EarlyQuestions } from './earlyVerdict'
import { ConnectionLost, UploadFailure } from './errors'
import { Backoff } from './backoff'
import { ChunkSize, unknownPath, type NetworkPath } from './chunkSize'
import { OneRequest } from './oneRequest'
import { Plan, type Chunk } from './plan'
import { gaps, overlap } from './ranges'
import type { Answer } from './transport'
import type { Range } from './types'

interface Given {
  status: number
  headers?: Record<string, string>
  body?: string
  problem?: { code?: unknown }
}

interface AnswerVector {
  name: string
  answer: Given
  error: string
  status: number
  code: string
  retryable: boolean
  retry_after: number | null
  fresh_headers?: true
  by?: string
  next: Record<Verb, Next>
}

interface ValueVector {
  name: string
  kind: 'upload' | 'chunk'
  answer: Given
  value: object | null
}

interface Step {
  at: number
  answers?: { to: Range; with: string; missing?: Range[] }[]
  ends?: string
  looked?: { received: Range[]; refused: number | null }
  /** With the number of the part as a third value, where it goes to the object store. */
  sends?: number[][]
  as_form?: true
  must_look?: true
  until?: unknown
  done?: true
}

interface PlanVector {
  name: string
  length: number
  missing: Range[]
  preferred: number
  floor: number
  concurrency: number
  patience: number
  part_size?: number | null
  tail?: number
  way: Way
  steps: Step[]
}

/** What a vector names of a path. */
interface Way {
  passed?: number
  refused?: number | null
  pace?: number | null
  carried?: number
  is_early?: boolean
  has_whole?: boolean
  as_form?: boolean
  report?: object | null
}

interface OneStep {
  next: string
  with?: string
  seconds?: number
  then?: string
  refused?: boolean
  way?: Way
}

interface OneVector {
  name: string
  length: number
  preferred: number
  floor: number
  way: Way
  margin?: number
  steps: OneStep[]
}

interface Told {
  passes: number | null
  refuses: number | null
}

interface ResumeVector {
  name: string
  size: number
  answer: Given
  then: string
  sends: Range[] | null
}

type EarlyStep =
  | { safe: Range[]; left?: number | null; asks: boolean }
  | { answer: Record<string, unknown>; verdict: string | null; findings: string[] }

interface EarlyVector {
  name: string
  length: number
  tail: number | null
  steps: EarlyStep[]
}

interface WayVector {
  name: string
  steps: { put: StoreFailure | 'passed'; began: number; at: number; then: 'again' | 'chunks' }[]
}

const NOW = '2026-11-27T12:00:00Z'

function load<T>(name: string, kind = 'vectors'): T[] {
  const path = new URL(`../../../tests/vectors/${name}.json`, import.meta.url)
  return (JSON.parse(readFileSync(path, 'utf8')) as Record<string, T[]>)[kind]!
}

const answers = load<AnswerVector>('answers')
const byName = new Map(answers.map(({ name, answer }) => [name, answer]))

function answer({ status, headers = {}, body = '', problem }: Given): Answer {
  if (!problem) return { status, headers, text: body }
  const own = { 'content-type': 'application/problem+json', ...headers }
  const type = `urn:wherry:problem:${String(problem.code)}`
  return { status, headers: own, text: JSON.stringify({ type, ...problem }) }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: new Date(NOW) }))
afterEach(() => void vi.useRealTimers())

describe('an answer is the error that the vectors say', () => {
  test.each(answers.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const { name, status, code, retryable, retryAfter } = parseError(answer(vector.answer))
    expect({ error: name, status, code, retryable, retry_after: retryAfter }).toEqual({
      error: vector.error,
      status: vector.status,
      code: vector.code,
      retryable: vector.retryable,
      retry_after: vector.retry_after,
    })
    const error = parseError(answer(vector.answer))
    const verbs = Object.keys(vector.next) as Verb[]
    expect(Object.fromEntries(verbs.map((verb) => [verb, whatNext(error, verb)]))).toEqual(
      vector.next,
    )
    expect(wantsFreshHeaders(error)).toBe(vector.fresh_headers ?? false)
    if (vector.by !== undefined) {
      expect(refusedBy(answer(vector.answer))).toBe(vector.by)
      expect(error.message).toContain(vector.by || 'a proxy')
    }
    expect(verbs).toEqual(['init', 'status', 'chunk', 'complete', 'upload'])
  })
})

describe('an answer is the value that the vectors say', () => {
  const values = load<ValueVector>('values')
  test.each(values.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const parse = (): unknown => {
      if (vector.kind === 'chunk') return parseMissing(answer(vector.answer))
      const seen = parseUpload(answer(vector.answer))
      const value = {
        upload_id: seen.uploadId,
        state: seen.state,
        is_waiting: seen.isWaiting,
        received: seen.received,
        position: seen.position,
        retry_after: seen.retryAfter,
        chunk_size: seen.chunkSize,
        min_chunk: seen.minChunk,
        concurrency: seen.concurrency,
        tail: seen.tail,
        passes: seen.passes,
        refuses: seen.refuses,
      }
      const named = Object.entries(value).filter(([name]) => name in vector.value!)
      return Object.fromEntries(named)
    }
    if (vector.value) return expect(parse()).toEqual(vector.value)
    expect(parse).toThrow(expect.objectContaining({ name: 'UnexpectedAnswer' }) as Error)
    try {
      parse()
    } catch (error) {
      expect(whatNext(error as UploadFailure, 'chunk')).toBe('look')
    }
  })
})

function errorOf(outcome: string): UploadFailure {
  if (outcome === 'lost' || outcome === 'timed-out') {
    const code = outcome === 'lost' ? 'connection-lost' : outcome
    return new ConnectionLost(outcome, { code, retryable: true })
  }
  return parseError(answer(byName.get(outcome)!))
}

function pathOf(way: Way): NetworkPath {
  return {
    ...unknownPath(),
    passed: way.passed ?? 0,
    refused: way.refused ?? Infinity,
    pace: way.pace ?? 0,
    carried: way.carried ?? 0,
    isEarly: way.is_early ?? true,
    takesWhole: way.has_whole ?? true,
    asForm: way.as_form ?? false,
    report: (way.report ?? null) as NetworkPath['report'],
  }
}

/** Of a path, what the vector names. */
function wayOf(path: NetworkPath, named: Way): Way {
  const number = (value: number): number | null => (value === Infinity ? null : value)
  const way: Required<Way> = {
    passed: path.passed,
    refused: number(path.refused),
    pace: path.pace || null,
    carried: path.carried,
    is_early: path.isEarly,
    has_whole: path.takesWhole,
    as_form: path.asForm,
    report: path.report,
  }
  return Object.fromEntries(Object.entries(way).filter(([name]) => name in named)) as Way
}

/** A plan to which the steps of a vector happen. */
class Played {
  private readonly plan: Plan
  private readonly flying = new Map<string, Chunk>()

  constructor(vector: PlanVector) {
    const size = new ChunkSize(pathOf(vector.way))
    size.offered(vector.preferred, vector.floor)
    const { length, missing, concurrency, patience, part_size: partSize, tail } = vector
    const backoff = new Backoff(patience)
    this.plan = new Plan(length, missing, size, concurrency, backoff, partSize, tail)
  }

  /** The step as it comes out. */
  step(step: Step): Step {
    const { plan } = this
    const found: Step = { at: step.at }
    if (step.answers) found.answers = step.answers
    try {
      for (const one of step.answers ?? []) this.answer(one, step.at)
    } catch (error) {
      return { ...found, ends: (error as Error).name }
    }
    if (step.looked) {
      const { received } = step.looked
      found.looked = { received, refused: null }
      try {
        found.looked.refused = plan.looked(received)
      } catch (error) {
        return { ...found, ends: (error as Error).name }
      }
    }
    found.sends = []
    for (let chunk = plan.next(step.at); chunk; chunk = plan.next(step.at)) {
      found.sends.push(chunk.part ? [...chunk.range, chunk.part] : chunk.range)
      this.flying.set(String(chunk.range), chunk)
    }
    if (plan.size.path.asForm) found.as_form = true
    if (plan.mustLook) found.must_look = true
    if (plan.isDone) found.done = true
    else if (!plan.sending.length) found.until = expect.closeTo(plan.backoff.until, 5)
    return found
  }

  private answer(one: NonNullable<Step['answers']>[number], at: number): void {
    const chunk = this.flying.get(String(one.to))!
    this.flying.delete(String(one.to))
    if (['again', 'in chunks', 'chunks'].includes(one.with)) return this.notSent(chunk, one.with, at)
    if (one.with !== 'ok') return void this.plan.failed(chunk, errorOf(one.with), at, 1)
    this.plan.passed(chunk, at)
    if (one.missing) this.plan.learned(one.missing)
  }

  /** The store has not taken a part. */
  private notSent(chunk: Chunk, then: string, at: number): void {
    const { plan } = this
    if (then === 'again') {
      plan.tookBack(chunk)
      const failed = new UploadFailure(then, { code: 'store-failed', retryable: true })
      return plan.backoff.failed(failed, chunk.began, at, 1)
    }
    plan.toChunks(chunk)
    if (then === 'chunks') plan.endDirect()
  }
}

describe('the way to the object store is given up as the vectors say', () => {
  const ways = load<WayVector>('direct', 'ways')
  test.each(ways.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const way = new DirectWay()
    for (const { put, began, at, then } of vector.steps) {
      if (put === 'passed') way.passed(began)
      else expect(way.failed(put, began, at)).toBe(way.isOpen)
      expect(way.isOpen ? 'again' : 'chunks').toBe(then)
    }
  })
})

describe('a plan goes as the vectors say', () => {
  const plans = [...load<PlanVector>('plans'), ...load<PlanVector>('direct', 'plans')]
  test.each(plans.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const played = new Played(vector)
    for (const step of vector.steps) expect(step).toEqual(played.step(step))
  })
})

describe('a file in one request goes as the vectors say', () => {
  const vectors = load<OneVector>('one-request')
  test.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const path = pathOf(vector.way)
    const size = new ChunkSize(path)
    size.offered(vector.preferred, vector.floor)
    const one = new OneRequest(vector.length, size, vector.margin)
    /** The step as it comes out; with those of its facts that the vector names. */
    const after = (step: OneStep): OneStep => {
      const found: OneStep = { ...step, next: one.next }
      const { with: outcome } = step
      if (outcome === 'ok' && one.next === 'send') size.notePassed(vector.length, 0)
      else if (outcome === 'nothing') {
        const refused = one.absent()
        if ('refused' in step) found.refused = refused
      } else if (outcome && outcome !== 'ok') {
        const error = errorOf(outcome)
        if (one.next === 'send') {
          one.failed(error, step.seconds ?? 1)
        } else one.suspected = null
        found.then = whatNext(error, 'upload')
      }
      if (step.way) found.way = wayOf(path, step.way)
      return found
    }
    for (const step of vector.steps) expect(after(step)).toEqual(step)
  })
})

describe('the early verdict is asked for as the vectors say', () => {
  const vectors = load<EarlyVector>('early-verdict')
  test.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const questions = new EarlyQuestions(vector.length, vector.tail)
    for (const step of vector.steps) {
      if ('asks' in step) {
        const isSafe = (range: Range): boolean => !overlap([range], gaps(step.safe, vector.length)).length
        expect(questions.isDue(isSafe, step.left === undefined ? 60 : step.left)).toBe(step.asks)
      } else {
        const found = questions.answered(step.answer)
        expect(found?.verdict ?? null).toBe(step.verdict)
        expect((found?.findings ?? []).map(({ code }) => code)).toEqual(step.findings)
      }
    }
  })
})

describe('what the server knows of a path is taken as the vectors say', () => {
  const vectors = load<{ name: string; way: Way; told: Told; then: Way }>('paths')
  test.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const path = pathOf(vector.way)
    new ChunkSize(path).told(vector.told.passes, vector.told.refuses)
    expect(wayOf(path, vector.then)).toEqual(vector.then)
  })
})

describe('an upload goes on as the vectors say', () => {
  const then = (given: Given): string => {
    const seen = parseUpload(answer(given))
    if (seen.isWaiting) return 'line'
    if (isBrought(seen)) return 'complete'
    try {
      checkNotGone(seen)
    } catch (error) {
      return whatNext(error as UploadFailure, 'status')
    }
    return 'send'
  }
  const resumed = load<ResumeVector>('resume')
  test.each(resumed.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    expect(then(vector.answer)).toBe(vector.then)
    if (!vector.sends) return
    const missing = gaps(parseUpload(answer(vector.answer)).received, vector.size)
    const plan = new Plan(vector.size, missing, new ChunkSize(), 4, new Backoff(300))
    expect(gaps(plan.safe, vector.size)).toEqual(vector.sends)
  })
})
