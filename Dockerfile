# Kizu's line and dashboard in one image; docker-compose.yml says which command runs.
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 NO_ALBUMENTATIONS_UPDATE=1
WORKDIR /opt/kizu
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY inspect inspect
COPY db db
COPY pipeline pipeline
COPY dashboard dashboard
COPY cli cli
RUN pip install --no-cache-dir -c constraints.txt '.[modbus,mqtt]' \
    && useradd --create-home --uid 10001 kizu \
    && install -d -o kizu -g kizu /var/lib/kizu
USER kizu
WORKDIR /var/lib/kizu
ENTRYPOINT ["kizu"]
CMD ["--help"]
