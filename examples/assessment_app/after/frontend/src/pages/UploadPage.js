import { useState } from 'react';
import { uploadVideoChunked } from '../api/chunkedUploadApi';

export default function UploadPage({ onUploaded }) {
  const [file, setFile] = useState(null);
  const [percent, setPercent] = useState(null); // null: nothing is being sent
  const [error, setError] = useState('');

  const handleUpload = async (event) => {
    event.preventDefault();
    setError('');
    setPercent(0);
    try {
      const response = await uploadVideoChunked(file, (progress) => {
        setPercent(progress);
      });
      onUploaded(response.assessment_id);
    } catch (failure) {
      setError(failure.message);
      setPercent(null);
    }
  };

  return (
    <>
      <h1>Assess a video</h1>
      <form onSubmit={handleUpload}>
        <label htmlFor="video">Video</label>
        <input
          id="video"
          type="file"
          accept="video/*"
          disabled={percent !== null}
          onChange={(event) => setFile(event.target.files[0] ?? null)}
        />
        <button type="submit" disabled={file === null || percent !== null}>
          Upload
        </button>
      </form>
      {percent !== null && (
        <div
          className="bar"
          role="progressbar"
          aria-label={`Uploading ${file.name}`}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(percent)}
        >
          <div style={{ width: `${percent}%` }} />
        </div>
      )}
      <p aria-live="polite">{percent === null ? '' : `${Math.round(percent)} % sent`}</p>
      <p role="alert">{error && `The upload failed: ${error}`}</p>
    </>
  );
}
