/** Pictures from the whole video, each a button that leads to its place in the player. */

import { t } from './language'
import { Tile } from './Tile'
import { choose } from './timeline'
import type { Storyboard } from './useStoryboard'
import { moment } from './words'

const MOST = 12

export function ContactSheet({ storyboard, onSeek }: { storyboard: Storyboard; onSeek(at: number): void }) {
  const chosen = choose(storyboard.cues, MOST)
  const toCome = chosen.length > 0 ? 0 : Math.min(MOST, storyboard.most)
  return (
    <section className="contact-sheet" aria-label={t.report.captions['contact-sheet']}>
      <p className="quiet">{t.report.captions['contact-sheet']}</p>
      <ul>
        {chosen.map((cue) => (
          <li key={cue.start}>
            <button type="button" onClick={() => onSeek(cue.start)}>
              <Tile storyboard={storyboard} cue={cue} />
              <span>
                {moment(cue.start)}
                <span className="unseen"> {t.report.goThere}</span>
              </span>
            </button>
          </li>
        ))}
        {Array.from({ length: toCome }, (_, number) => (
          <li key={-1 - number}>
            <span className="to-come">
              <Tile storyboard={storyboard} cue={null} />
              <span>{moment(0)}</span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
