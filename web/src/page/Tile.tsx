/** One picture of a storyboard, cut out of the sprite. */

import { spriteOf } from './timeline'
import type { Cue } from './timeline'
import type { Storyboard } from './useStoryboard'

/** `cue` is null while it is not known: its place is kept. */
export function Tile({ storyboard, cue }: { storyboard: Storyboard; cue: Cue | null }) {
  const { address, cues } = storyboard
  const { x, y, width, height } = cue ?? { x: 0, y: 0, ...storyboard }
  // An SVG, because a page on paper has no backgrounds.
  return (
    <svg className="tile" viewBox={`${x} ${y} ${width} ${height}`} aria-hidden="true">
      {cue && address !== null && <image href={address} {...spriteOf(cues)} />}
    </svg>
  )
}
