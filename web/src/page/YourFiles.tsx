/** The files that were chosen on this page: a card for each of a few, a list of many. */

import { t } from './language'
import { SEVERAL, StatusBar } from './StatusBar'
import { UploadCard } from './UploadCard'
import { UploadList } from './UploadList'
import type { Session } from './session'
import type { Item, Uploads } from './uploads'

/** So many files have their cards on the page; more are rows of a list. */
const FEW = 3

interface Props {
  items: readonly Item[]
  uploads: Uploads
  session: Session
  isOnline: boolean
  onClose(item: Item): void
  /** What was pressed is gone, and more with it. */
  onGone(): void
  announce(sentence: string): void
}

export function YourFiles({ isOnline, onGone, ...props }: Props) {
  const { items, uploads } = props
  if (items.length === 0) return null
  return (
    <section aria-labelledby="files-title">
      <h2 id="files-title" className="unseen">
        {t.all.yours}
      </h2>
      {items.length >= SEVERAL && <StatusBar {...{ items, uploads, isOnline, onGone }} />}
      {items.length > FEW ? (
        <UploadList {...props} />
      ) : (
        items.map((item) => (
          <UploadCard
            key={item.id}
            item={item}
            state={item.state}
            name={item.name}
            isDue={item.isDue}
            isHeld={uploads.isHeld}
            uploads={uploads}
            session={props.session}
            onClose={props.onClose}
            announce={props.announce}
          />
        ))
      )}
    </section>
  )
}
