/**
 * Send a video in one request. `onProgress` gets the percentage sent, 0 to 100.
 * Resolves to the server's answer, with the `assessment_id` in it.
 */
export const uploadVideo = (file, onProgress) =>
  new Promise((resolve, reject) => {
    const form = new FormData();
    form.append('file', file);

    const request = new XMLHttpRequest();
    request.open('POST', '/api/assessments/upload');
    request.responseType = 'json';
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress?.(Math.round((event.loaded * 100) / event.total));
    };
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response);
      else reject(new Error(`Request failed with status code ${request.status}`));
    };
    request.onerror = () => reject(new Error('Network Error'));
    request.send(form);
  });

export const getAssessment = async (assessmentId) => {
  const response = await fetch(`/api/assessments/${assessmentId}`);
  if (!response.ok) throw new Error(`Request failed with status code ${response.status}`);
  return response.json();
};
