/** A link that was just made, to be copied. It is not shown again. */

import { useEffect, useRef, useState } from 'preact/compat'
import { t } from './language'

export function MadeLink({ link }: { link: string }) {
  const [isCopied, setCopied] = useState(false)
  const shown = useRef<HTMLInputElement>(null)
  useEffect(() => shown.current?.select(), [])
  const copy = async () => {
    shown.current?.select()
    try {
      await navigator.clipboard.writeText(link)
      setCopied(true)
    } catch {
      // Without a clipboard (plain http), the link is selected for the user to copy.
    }
  }
  return (
    <div className="made">
      <label>
        {t.guests.made}
        <input ref={shown} readOnly value={link} />
      </label>
      <button type="button" onClick={() => void copy()}>
        {isCopied ? t.guests.copied : t.guests.copy}
        <span className="unseen"> {t.guests.theLink}</span>
      </button>
    </div>
  )
}
