import { useEffect, useState } from 'react';
import { getAssessment } from '../api/assessmentApi';

const LOOK_EVERY = 1000; // milliseconds

export default function ResultPage({ assessmentId, onBack }) {
  const [assessment, setAssessment] = useState(null);
  const [error, setError] = useState('');

  useEffect(() => {
    let timer;
    let isGone = false;
    const look = async () => {
      try {
        const found = await getAssessment(assessmentId);
        if (isGone) return;
        setAssessment(found);
        setError('');
        if (found.status === 'done' || found.status === 'failed') return;
      } catch (failure) {
        if (isGone) return;
        setError(failure.message);
        if (failure.message.includes('404')) return;
      }
      timer = setTimeout(look, LOOK_EVERY);
    };
    look();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [assessmentId]);

  const result = assessment?.result;
  return (
    <>
      <h1>{assessment?.filename ?? 'Assessment'}</h1>
      <p aria-live="polite">{assessment && `Status: ${assessment.status}`}</p>
      <p role="alert">{error}</p>
      {result && (
        <dl>
          <dt>Size</dt>
          <dd>{result.size.toLocaleString('en')} bytes</dd>
          <dt>Duration</dt>
          <dd>{result.duration === null ? 'unknown' : `${result.duration.toFixed(2)} s`}</dd>
          <dt>SHA-256</dt>
          <dd>
            <code>{result.sha256}</code>
          </dd>
        </dl>
      )}
      <button type="button" onClick={onBack}>
        Upload another
      </button>
    </>
  );
}
