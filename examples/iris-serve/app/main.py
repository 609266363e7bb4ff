"""Tells iris species apart: POST four measurements in centimetres to /predict."""

from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field

from app.model import SPECIES, train

app = FastAPI(title="iris")
model = train()

Centimetres = Annotated[float, Field(gt=0, lt=100)]


class Flower(BaseModel):
    sepal_length: Centimetres
    sepal_width: Centimetres
    petal_length: Centimetres
    petal_width: Centimetres


@app.post("/predict")
def predict(flower: Flower) -> dict[str, str]:
    measured = [
        flower.sepal_length,
        flower.sepal_width,
        flower.petal_length,
        flower.petal_width,
    ]
    return {"species": SPECIES[model.predict([measured])[0]]}
