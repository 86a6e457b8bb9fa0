import { createRoot } from 'preact/compat/client'
import { App } from './App'
import { speak } from './language'
import { placeOf, Session } from './session'
import { SharedReport } from './SharedReport'
import './page.css'

const place = placeOf(document)
// Another ticket is another guest.
window.addEventListener('hashchange', () => {
  if (placeOf(document).ticket !== place.ticket) location.reload()
})

void speak(navigator.languages, document.documentElement).then(() => {
  const session = new Session(place)
  createRoot(document.getElementById('page')!).render(
    place.shown ? <SharedReport session={session} assessmentId={place.shown} /> : <App session={session} />,
  )
})
