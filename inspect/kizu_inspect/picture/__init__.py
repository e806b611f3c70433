"""A picture's geometry: decoding, fitting, tiles and back, references, drawing maps over it."""
