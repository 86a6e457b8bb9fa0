/**
 * Small requests of one kind that are wanted at the same time become one.
 *
 * While one request is in flight, the others wait, and are sent together after it.
 */

/** One request names at most so many parts. */
const MOST = 100

/** `A`: what is said of each part. `R`: the answer, which all parts of a request get. */
export class Gathering<A, R> {
  private next: { asked: Map<number, A>; answer: Promise<R> } | null = null
  private last: Promise<unknown> = Promise.resolve()

  constructor(private readonly request: (asked: Map<number, A>) => Promise<R>) {}

  ask(number: number, argument: A): Promise<R> {
    if (!this.next || this.next.asked.size >= MOST) {
      const asked = new Map<number, A>()
      const answer = this.last.then(() => {
        if (this.next === next) this.next = null
        return this.request(asked)
      })
      const next = { asked, answer }
      this.next = next
      this.last = answer.catch(() => undefined)
    }
    this.next.asked.set(number, argument)
    return this.next.answer
  }
}
