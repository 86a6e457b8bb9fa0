/** A small request, repeated until it is answered. */

import type { Control } from './control'
import { NoRoom, UnexpectedAnswer, UploadFailure } from './errors'
import { Patience } from './plan'
import type { World } from './world'

/** Seconds of trying to reach a server that has not answered yet: the address may be wrong. */
const FIRST_ANSWER = 30

export class Retrying {
  readonly patience: Patience
  /** Whether it is Wherry that answers at this address. */
  private isKnown = false

  /** `budget`: seconds without progress; `onTrouble` hears of each error, the pause being set. */
  constructor(
    private readonly world: World,
    private readonly control: Control,
    private readonly budget: number,
    private readonly onTrouble: (error: UploadFailure) => void,
  ) {
    this.patience = new Patience(Math.min(FIRST_ANSWER, budget))
  }

  /** Seconds until something may be sent. */
  get pause(): number {
    return Math.max(this.patience.until - this.world.now(), 0)
  }

  /** What `call` gives. Throws what repeating cannot mend, `Aborted` and `Paused`. */
  async ask<T>(call: () => Promise<T>): Promise<T> {
    const { patience, control, world } = this
    for (;;) {
      await control.sleep(this.pause, () => this.pause === 0)
      const began = world.now()
      try {
        const answer = await call()
        this.isKnown = true
        patience.budget = this.budget
        patience.progressed()
        return answer
      } catch (error) {
        control.check()
        if (!(error instanceof UploadFailure)) throw error
        const isWrongAddress = error instanceof UnexpectedAnswer && !this.isKnown
        if (isWrongAddress || !error.retryable) throw error
        // Somebody else is completing it: that takes its time, and is no trouble.
        const isBusy = error.code === 'busy'
        if (isBusy || error instanceof NoRoom) patience.waits(error, world.now())
        else patience.failed(error, began, world.now(), world.jitter())
        if (!isBusy) this.onTrouble(error)
      }
    }
  }
}
